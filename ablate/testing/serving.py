"""The public road from a checkpoint to completions, on a small load."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from ablate.engines.base import Engine, EngineContext, Session
from ablate.plugins import ArmPlugins, Plugin
from ablate.testing.models import save
from ablate.types import Completion, Load, ModelSpec, Problem, Request, Sampling, Usage

CONCURRENCY = 4
SHARED = "Here is a beginning that several prompts share, long enough for blocks of it. "
PROMPTS = (
    "abcabcabcabcab",
    *(f"{SHARED}And number {i}." for i in range(2)),
    "one two three one two three one two",
    *(f"{i * 7919 % 1000} " + "abcdefghij"[i] * (1 + i * 13 % 40) for i in range(6)),
)


@dataclass
class Served:
    """What a session returned for a load."""

    completions: dict[str, Completion] = field(default_factory=dict)
    usage: list[Usage] = field(default_factory=list)
    counters: Mapping[str, float] = field(default_factory=dict)
    twice: list[str] = field(default_factory=list)

    def take(self, completion: Completion) -> None:
        if completion.request_id in self.completions:
            self.twice.append(completion.request_id)
        self.completions[completion.request_id] = completion

    @property
    def answers(self) -> dict[str, tuple[str, int]]:
        """Text and number of tokens by request, whatever the order."""
        return {i: (c.text, c.output_tokens) for i, c in sorted(self.completions.items())}


def requests(prompts: Sequence[str], **form: Any) -> tuple[Request, ...]:
    """``form``: how each problem is asked, such as its ``stop`` texts."""
    return tuple(
        Request(f"{i:03}", Problem(str(i), "test", prompt, "", **form), 0, seed=1000 + i)
        for i, prompt in enumerate(prompts)
    )


def serve(session: Session, asked: Sequence[Request], concurrency: int | None) -> Served:
    served = Served()
    load = Load(tuple(asked), concurrency)
    served.counters = session.run(load, served.take, served.usage.append)
    return served


def context_of(
    model: Path, directory: Path, plugins: Mapping[str, Plugin] | None = None, max_tokens: int = 12
) -> EngineContext:
    """Greedy, in float32, which is what a claim about equal output is made for."""
    return EngineContext(
        model=spec_of(model),
        plugins=ArmPlugins(plugins or {}),
        sampling=Sampling(max_tokens=max_tokens),
        max_concurrency=CONCURRENCY,
        directory=directory,
    )


def spec_of(model: Path) -> ModelSpec:
    return ModelSpec("tiny", str(model), dtype="float32", calibration=_worked)


@contextmanager
def opened(engine: Engine, context: EngineContext) -> Iterator[Session]:
    session = engine.open(context)
    try:
        yield session
    finally:
        session.close()


@contextmanager
def workplace(model: Path | None) -> Iterator[tuple[Path, Path]]:
    """The model's folder, a tiny one where none is given, and an empty folder for logs."""
    with one_thread(), TemporaryDirectory(prefix="ablate-testing-") as folder:
        logs = Path(folder) / "logs"
        logs.mkdir()
        yield model or save(Path(folder) / "model"), logs


@contextmanager
def one_thread() -> Iterator[None]:
    """What is tiny is fastest so, and threads that wait for each other crawl on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _worked(n: int, seed: int) -> list[tuple[str, str]]:
    """Examples for quantizers that calibrate."""
    return [(f"What is {i} + {seed}? ", str(i + seed)) for i in range(n)]
