"""An engine asks the hooks that it says it calls: the support matrix is computed from them."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ablate.engines.base import Engine
from ablate.hookspecs import COMPONENT_HOOKS
from ablate.plugins import Plugin, hookimpl
from ablate.testing.findings import Finding, judged
from ablate.testing.serving import context_of, opened
from ablate.types import ModelSpec


@dataclass(frozen=True)
class Spy(Plugin):
    """Passes every component on, and remembers which hooks were asked."""

    asked: set[str] = field(default_factory=set)

    @hookimpl(wrapper=True)
    def ablate_load_model(self) -> Generator[None, Any, Any]:
        self.asked.add("ablate_load_model")
        return (yield)

    @hookimpl(wrapper=True)
    def ablate_setup_cache(self) -> Generator[None, Any, Any]:
        self.asked.add("ablate_setup_cache")
        return (yield)

    @hookimpl(wrapper=True)
    def ablate_decode_step(self) -> Generator[None, Any, Any]:
        self.asked.add("ablate_decode_step")
        return (yield)

    @hookimpl(wrapper=True)
    def ablate_schedule(self) -> Generator[None, Any, Any]:
        self.asked.add("ablate_schedule")
        return (yield)

    @hookimpl
    def ablate_engine_args(self, engine: str, model: ModelSpec) -> Mapping[str, Any]:
        self.asked.add("ablate_engine_args")
        return {}


def examine(engine: Engine, model: Path, logs: Path) -> Iterator[Finding]:
    if engine.refusal:  # nobody's arguments are taken, so nobody is asked
        return
    spy = Spy()
    with opened(engine, context_of(model, logs, {"spy": spy})):
        pass
    known = {*COMPONENT_HOOKS, "ablate_engine_args"}
    problems = [
        f"calls names {hook}, which was not asked; ask context.plugins for it, or leave it out"
        for hook in sorted(engine.calls & known - spy.asked)
    ]
    problems += [
        f"{hook} is asked and calls does not name it; optimizations would not be known to work"
        for hook in sorted(spy.asked - engine.calls)
    ]
    yield from judged("hooks", problems, f"asks {', '.join(sorted(spy.asked))}")
