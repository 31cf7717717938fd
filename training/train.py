"""Train one of the tiny models on a number of tokens; stops, resumes and exports on the way.

``python -m training.train --model reasoner --out runs/reasoner --tokens 60e6``

``OUT/checkpoint.pt`` is the state to go on from (run the same command again), ``OUT/model`` the
latest export, ``OUT/curve.jsonl`` the loss on the way. One process uses as many threads as
OMP_NUM_THREADS says.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from statistics import fmean

import torch
from torch import Tensor, nn, optim
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from training import attention
from training.data import IGNORED, Batch, at_once, batches, pool, reach
from training.export import export
from training.optimizer import optimizers, schedule, set_rate
from training.shapes import SHAPES, fresh
from training.tokenizer import shared

LOG_STEPS = 50


@dataclass(frozen=True)
class Progress:
    """How far a run is: seconds count training only, not time in which it was stopped."""

    seconds: float = 0.0
    steps: int = 0
    tokens: int = 0
    learned_tokens: int = 0
    pools: int = 0


@dataclass(frozen=True)
class Settings:
    """What the command line says."""

    model: str
    out: Path
    tokens: float
    seed: int
    batch_tokens: int
    accumulate: int
    rate: float
    export_minutes: float
    compile: bool
    device: str


@dataclass(frozen=True)
class Run:
    """The parts that change while training."""

    model: LlamaForCausalLM
    tokenizer: PreTrainedTokenizerFast
    optimizers: list[optim.Optimizer]
    hidden: Callable[[Tensor], Tensor]


def hidden_states(model: LlamaForCausalLM, compiled: bool) -> Callable[[Tensor], Tensor]:
    """The model without its head, compiled once for all lengths: a third faster on one core."""

    def forward(ids: Tensor) -> Tensor:
        hidden: Tensor = model.model(input_ids=ids, use_cache=False).last_hidden_state
        return hidden

    return torch.compile(forward, dynamic=True) if compiled else forward


def loss_of(run: Run, batch: Batch, device: str) -> Tensor:
    """Mean cross-entropy over the completions' tokens; the head runs on these only."""
    ids, labels = batch.ids.to(device), batch.labels[:, 1:].to(device)
    learned = labels != IGNORED
    with torch.autocast(device, torch.bfloat16):
        logits = run.model.lm_head(run.hidden(ids)[:, :-1][learned])
    return nn.functional.cross_entropy(logits.float(), labels[learned])


def step(run: Run, micro: Sequence[Batch], device: str) -> float:
    """One update, from several batches: rows of one length are mostly of one domain."""
    total = 0.0
    for batch in micro:
        loss = loss_of(run, batch, device) / len(micro)
        loss.backward()  # type: ignore[no-untyped-call]
        total += loss.item()
    nn.utils.clip_grad_norm_(run.model.parameters(), 1.0)
    for optimizer in run.optimizers:
        optimizer.step()
        optimizer.zero_grad()
    return total


def stream(
    settings: Settings, tokenizer: PreTrainedTokenizerFast, pools: int
) -> Iterator[tuple[int, Batch]]:
    """Batches without end, each with the number of its pool; every pool is generated anew."""
    while True:
        seed = settings.seed * 1_000_000 + pools
        problems = pool(seed, reach(pools))
        if settings.model == "llm":
            problems = [at_once(problem) for problem in problems]
        for batch in batches(problems, tokenizer, seed, settings.batch_tokens):
            yield pools, batch
        pools += 1


def save(run: Run, progress: Progress, path: Path) -> None:
    state = {
        "progress": asdict(progress),
        "model": run.model.state_dict(),
        "optimizers": [optimizer.state_dict() for optimizer in run.optimizers],
    }
    part = path.with_suffix(".part")
    torch.save(state, part)
    part.rename(path)


def load(run: Run, path: Path) -> Progress:
    """Restore a run. It goes on with the pool after the one it was stopped in."""
    state = torch.load(path, weights_only=True)
    run.model.load_state_dict(state["model"])
    for optimizer, saved in zip(run.optimizers, state["optimizers"], strict=True):
        optimizer.load_state_dict(saved)
    progress = Progress(**state["progress"])
    return replace(progress, pools=progress.pools + 1)


def start(settings: Settings) -> tuple[Run, Progress]:
    torch.manual_seed(settings.seed)
    attention.register()
    tokenizer = shared()
    model = fresh(settings.model, tokenizer)
    nn.Module.to(model, settings.device)
    model.set_attn_implementation(attention.NAME)
    hidden = hidden_states(model, settings.compile)
    run = Run(model, tokenizer, optimizers(model), hidden)
    checkpoint = settings.out / "checkpoint.pt"
    return run, load(run, checkpoint) if checkpoint.exists() else Progress()


def keep(run: Run, progress: Progress, settings: Settings) -> None:
    save(run, progress, settings.out / "checkpoint.pt")
    export(run.model, run.tokenizer, settings.out / "model")


def note(loss: float, progress: Progress, path: Path) -> None:
    with path.open("a") as file:
        file.write(json.dumps({"loss": round(loss, 4), **asdict(progress)}) + "\n")


def forget(path: Path, progress: Progress) -> None:
    """Take from a curve what came after the checkpoint that a run goes on from."""
    if path.exists():
        points = path.read_text().splitlines(keepends=True)
        path.write_text("".join(p for p in points if json.loads(p)["steps"] <= progress.steps))


def train(settings: Settings) -> Progress:
    """Train until the tokens are used up; the learning rate reaches zero at their end."""
    settings.out.mkdir(parents=True, exist_ok=True)
    run, progress = start(settings)
    forget(settings.out / "curve.jsonl", progress)
    exported, clock = progress.seconds, time.monotonic()
    recent: list[float] = []
    source = stream(settings, run.tokenizer, progress.pools)
    while progress.tokens < settings.tokens:
        numbers, micro = zip(*islice(source, settings.accumulate), strict=True)
        set_rate(run.optimizers, settings.rate * schedule(progress.tokens / settings.tokens))
        recent.append(step(run, micro, settings.device))
        now = time.monotonic()
        progress = Progress(
            seconds=progress.seconds + now - clock,
            steps=progress.steps + 1,
            tokens=progress.tokens + sum(batch.ids.numel() for batch in micro),
            learned_tokens=progress.learned_tokens
            + sum(int((batch.labels != IGNORED).sum()) for batch in micro),
            pools=numbers[-1],
        )
        clock = now
        if progress.steps % LOG_STEPS == 0:
            note(fmean(recent), progress, settings.out / "curve.jsonl")
            recent.clear()
        if progress.seconds - exported >= settings.export_minutes * 60:
            keep(run, progress, settings)
            exported = progress.seconds
    keep(run, progress, settings)
    return progress


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", choices=sorted(SHAPES), required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--tokens", type=float, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--batch-tokens", type=int, default=2048)
    parser.add_argument("--accumulate", type=int, default=3, help="batches in an update")
    parser.add_argument("--rate", type=float, default=1.0, help="scales the learning rates")
    parser.add_argument("--export-minutes", type=float, default=5.0)
    parser.add_argument("--compile", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    print(train(Settings(**vars(parser.parse_args()))))


if __name__ == "__main__":
    main()
