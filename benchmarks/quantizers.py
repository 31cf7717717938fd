"""What each weight quantizer costs and saves on this machine, against bfloat16, the two by turns.

``python -m benchmarks.quantizers`` (the shipped reasoner) or ``--model FOLDER``; ``--methods``
takes some of the labels. Decoding and prefill run through the parts of ``engine: local``, with the
output layer packed (``pack_output: true``); speeds are geometric means over pairs with their 95 %
interval; ``--bound`` adds how fast ``w8a8`` would be if rounding its inputs took no time.
KL divergence (nats a token) and the share of tokens that both rank first are those of next tokens
in worked problems of the test splits. "Made in" is how long quantizing took: making the artefact,
where there is one, else loading. What is not installed says so.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn

from ablate.artifacts import kept
from ablate.domains import Algebra, Arithmetic, Knowledge
from ablate.engines.local.batch import Span
from ablate.engines.local.fused import pack_output
from ablate.engines.local.interfaces import Seq
from ablate.engines.local.loading import load_model
from ablate.engines.local.runner import ModelRunner
from ablate.engines.local.slots import SlotStore
from ablate.engines.text import Codebook
from ablate.errors import AblateError
from ablate.models import ModelConfig, resolve_model
from ablate.plugins import Plugin
from ablate.quantization.activations import ZERO, Int8Dynamic, Product
from ablate.types import EvidenceState, Limits, ModelSpec, Problem, Request
from ablate_awq import Awq
from ablate_bnb import Bnb
from ablate_fp8 import Fp8
from ablate_gptq import Gptq
from ablate_torchao import Torchao
from ablate_w4a16 import W4a16
from ablate_w8a8 import W8a8
from benchmarks.ratios import cell

PROMPT, STEPS, PREFILL = 64, 24, 512
METHODS: dict[str, Callable[[str], Plugin]] = {
    "gptq 8": lambda _: Gptq(bits=8),
    "gptq 4": lambda _: Gptq(),
    "gptq 3": lambda _: Gptq(bits=3),
    "awq 4": lambda _: Awq(),
    "w4a16": lambda python: W4a16(python=python),
    "w8a8": lambda python: W8a8(python=python),
    "fp8 dynamic": lambda python: Fp8(python=python),
    "fp8 static": lambda python: Fp8(scheme="static", python=python),
    "bnb int8": lambda _: Bnb("int8"),
    "bnb nf4": lambda _: Bnb(),
    "torchao int8": lambda _: Torchao(),
    "torchao int4": lambda _: Torchao("int4"),
    "torchao int8_dynamic": lambda _: Torchao("int8_dynamic"),
    "torchao float8": lambda _: Torchao("float8"),
}
"""Label -> the plugin, given the interpreter that has llm-compressor."""


def worked(n: int, seed: int) -> Sequence[tuple[str, str]]:
    """Calibration text, from training splits."""
    domains = (Arithmetic(), Algebra(), Knowledge())
    parts = (d.training(n // len(domains) + 1, seed) for d in domains)
    return [(p.prompt, p.solution or "") for p in chain.from_iterable(parts)][:n]


def spec_of(model: str) -> ModelSpec:
    found = resolve_model(ModelConfig(model, dtype="bfloat16"))
    return ModelSpec(found.name, found.path, dtype="bfloat16", calibration=worked)


@dataclass(frozen=True)
class Runner:
    """A model in the engine's parts; its sequences are dropped after every measurement."""

    model: Any

    def seconds(self, batch: int, prompt: int, steps: int) -> tuple[float, float]:
        """Seconds of a prefill of ``prompt`` tokens a sequence, and of ``steps`` decoding steps."""
        limits = Limits(batch, batch * prompt, prompt + steps + 1, 1 << 33)
        run = ModelRunner(self.model, SlotStore(self.model, limits))
        seqs = [_seq(i, prompt, steps + 1) for i in range(batch)]
        for seq in seqs:
            run.cache.add(seq)
        began = time.perf_counter()
        self._step(run, seqs, prompt)
        filled = time.perf_counter()
        for _ in range(steps):
            self._step(run, seqs, 1)
        return filled - began, time.perf_counter() - filled

    @staticmethod
    def _step(run: ModelRunner, seqs: Sequence[Seq], n: int) -> None:
        spans = [Span(s.id, s.tokens[s.computed : s.computed + n], s.computed, 1) for s in seqs]
        for seq, token in zip(seqs, run(spans).argmax(-1).tolist(), strict=True):
            seq.computed += n
            seq.tokens.append(token)
            run.cache.commit(seq, seq.computed)


def _seq(number: int, prompt: int, most: int) -> Seq:
    tokens = torch.randint(10, 500, (prompt,), generator=torch.Generator().manual_seed(number))
    request = Request(str(number), Problem("", "", "", ""), 0, 0)
    return Seq(number, request, tokens.tolist(), prompt, most, 0.0, 0.0)


def speeds(one: Runner, other: Runner, pairs: int) -> list[str]:
    """Speed of ``other`` over that of ``one``: decoding at batch 1 and 8, and prefill."""
    found: list[list[tuple[float, float]]] = [[], [], []]
    for turn in range(pairs + 1):
        contenders = (one, other) if turn % 2 else (other, one)
        took = {
            id(c): (
                c.seconds(1, PROMPT, STEPS)[1],
                c.seconds(8, PROMPT, STEPS)[1],
                c.seconds(1, PREFILL, 0)[0],
            )
            for c in contenders
        }
        if turn:  # the first warms up
            both = zip(took[id(one)], took[id(other)], strict=True)
            for values, pair in zip(found, both, strict=True):
                values.append(pair)
    return [cell(values) for values in found]


def rounded_for_nothing(model: nn.Module) -> None:
    """Its layers with 8-bit inputs multiply the same bytes whatever they are given."""
    layers = (x for x in model.modules() if isinstance(x, Int8Dynamic))
    for product, width in {(layer.product, layer.in_features) for layer in layers}:
        setattr(product, "all", partial(_product_alone, product, width))  # noqa: B010 - a method


@cache
def _bytes(rows: int, width: int) -> Tensor:
    return torch.full((rows, width), ZERO, dtype=torch.uint8)


def _product_alone(product: Product, width: int, x: Tensor) -> Tensor:
    return product.multiply(_bytes(x.numel() // width, width), 1.0, x.dtype)


def next_tokens(model: Any, rows: Sequence[Tensor]) -> Iterator[Tensor]:
    """Log-probabilities of the next token at every place: a tensor [tokens, V] for each row."""
    for row in rows:
        with torch.inference_mode():
            step = ModelRunner(model, SlotStore(model, Limits(1, len(row), len(row) + 1, 1 << 33)))
            step.cache.add(_seq(0, len(row), 1))
            logits = step([Span(0, row.tolist(), 0, len(row))])
        yield logits.float().log_softmax(-1)


def agreement(one: Any, other: Any, rows: Sequence[Tensor]) -> tuple[float, float]:
    """Mean KL divergence of ``other`` from ``one``; how often both rank the same token first."""
    kl, same, places = 0.0, 0, 0
    for p, q in zip(next_tokens(one, rows), next_tokens(other, rows), strict=True):
        kl += float((p.exp() * (p - q)).sum())
        same += int((p.argmax(-1) == q.argmax(-1)).sum())
        places += len(p)
    return kl / places, same / places


def rows_of(spec: ModelSpec, model: Any, problems: int) -> list[Tensor]:
    """Worked problems of the test splits as the model reads them."""
    codebook = Codebook(spec, model.generation_config)
    asked = [p for d in (Arithmetic(), Algebra(), Knowledge()) for p in d.problems()[:problems]]
    texts = (f"{p.prompt}\n{p.solution}" for p in asked)
    return [torch.tensor(codebook.prompt(Problem("", "", text, ""))) for text in texts]


def row(
    label: str, plugin: Plugin, spec: ModelSpec, plain: Runner, rows: Sequence[Tensor], pairs: int
) -> str:
    """One method as a line of a Markdown table."""
    problems = plugin.ablate_requirements("local").problems  # type: ignore[attr-defined]
    if problems:
        return f"| {label} | {problems[0]} |"
    began = time.perf_counter()
    try:
        model = plugin.ablate_load_model(spec, plain.model.device.type)  # type: ignore[attr-defined]
    except AblateError as error:
        return f"| {label} | {error} |"
    took = making(plugin, spec) or time.perf_counter() - began
    state = EvidenceState("local", "measured", {"model": model}, {})
    found = plugin.ablate_evidence(state)  # type: ignore[attr-defined]
    pack_output(model)
    quick = speeds(plain, Runner(model), pairs)
    kl, same = agreement(plain.model, model, rows)
    kernel = found.detail.split(" weights in ")[1].split(",")[0]
    cells = [
        label,
        kernel,
        f"{found.numbers['weight_bytes'] / 1e6:.1f} MB",
        *quick,
        f"{kl:.3f}",
        f"{same:.3f}",
        f"{took:.0f} s",
    ]
    return f"| {' | '.join(cells)} |"


def bound(spec: ModelSpec, python: str, plain: Runner, pairs: int) -> str:
    """How fast ``w8a8`` would be if rounding its inputs took no time."""
    model = W8a8(python=python).ablate_load_model(spec, plain.model.device.type)
    pack_output(model)
    rounded_for_nothing(model)
    return " | ".join(speeds(plain, Runner(model), pairs))


def making(plugin: Plugin, spec: ModelSpec) -> float | None:
    """Seconds that its artefact took; None: it keeps none."""
    arguments = getattr(plugin, "ablate_engine_args", lambda *_: None)("vllm", spec) or {}
    if "model" not in arguments:
        return None
    folder = arguments["model"]()
    return next((one.seconds for one in kept() if str(one.path) == folder), None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="tiny-reasoner")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--methods", nargs="*", choices=METHODS, default=list(METHODS))
    parser.add_argument("--pairs", type=int, default=10)
    parser.add_argument("--bound", action="store_true", help="of w8a8's speed; needs a CPU")
    parser.add_argument("--llmcompressor", default="", help="a Python that has it")
    parser.add_argument("--problems", type=int, default=10, help="of each of three domains")
    args = parser.parse_args()
    spec = spec_of(args.model)
    plain = Runner(load_model(spec, args.device))
    pack_output(plain.model)
    rows = rows_of(spec, plain.model, args.problems)
    heads = "kernel | bytes | decode b1 | decode b8 | prefill | KL | top-1 | made in"
    place = f"{torch.get_num_threads()} threads"
    if args.device != "cpu":
        place = torch.cuda.get_device_name(args.device)
    print(f"{spec.name}, {place}; bfloat16 = 1\n")
    print(f"| method | {heads} |\n|{' --- |' * 9}", flush=True)
    for label in args.methods:
        plugin = METHODS[label](args.llmcompressor)
        print(row(label, plugin, spec, plain, rows, args.pairs), flush=True)
    if args.bound:
        quick = bound(spec, args.llmcompressor, plain, args.pairs)
        print(f"| w8a8 if rounding were free | | | {quick} | | | |", flush=True)


if __name__ == "__main__":
    main()
