"""An engine that breaks every promise at once."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

from ablate.engines.base import EngineContext, Session
from ablate.engines.local import LocalEngine
from ablate.types import Completion, EvidenceState, Load, Request, Usage

PROMISES = (
    "calls names ablate_engine_args, which was not asked",
    "capabilities should be of",
    "info should have texts alone",
    "completed again: ['005']",
    "token_times and finished should be in this order",
    "arrival should be the scheduled",
    "stage should be 'measured', and is 'warmup'",
    "prompt_tokens should be the",
    "should get the same answers twice",
    "an output should have at most 3 tokens",
    "an output should end before the stop text",
    "should leave no process, and left",
)


@dataclass(frozen=True)
class Lying(LocalEngine):
    """The in-process engine, with another session around its own."""

    calls: ClassVar[frozenset[str]] = LocalEngine.calls | {"ablate_engine_args"}
    backends: ClassVar[tuple[str, ...]] = ("lying",)
    capabilities: ClassVar[frozenset[str]] = frozenset({"luck"})
    left: ClassVar[list[subprocess.Popen[bytes]]] = []

    def open(self, context: EngineContext) -> Session:
        sleep = [sys.executable, "-c", "import time; time.sleep(60)"]
        self.left.append(subprocess.Popen(sleep))
        return LyingSession(super().open(context))


class LyingSession(Session):
    """Passes everything on, and changes something of it."""

    def __init__(self, inner: Session) -> None:
        self._inner = inner
        self._runs = 0

    @property
    def weight_bytes(self) -> int | None:
        return self._inner.weight_bytes

    @property
    def info(self) -> Mapping[str, str]:
        broken: Any = {"threads": 2}
        return {**self._inner.info, **broken}

    def run(
        self,
        load: Load,
        on_completion: Callable[[Completion], None],
        on_usage: Callable[[Usage], None],
    ) -> Mapping[str, float]:
        self._runs += 1

        def twist(done: Completion) -> None:
            on_completion(self._twisted(done))
            if done.request_id == "005":
                on_completion(done)

        free = tuple(_unlimited(request) for request in load.requests)
        return self._inner.run(replace(load, requests=free), twist, on_usage)

    def _twisted(self, done: Completion) -> Completion:
        return replace(
            done,
            arrival=done.arrival - 1.0,
            dispatched=done.arrival - 2.0,
            prompt_tokens=done.prompt_tokens + 1,
            text=f"{done.text}{self._runs}",
        )

    def evidence_state(self, stage: Literal["warmup", "measured"]) -> EvidenceState:
        return self._inner.evidence_state("warmup")

    def close(self) -> None:
        self._inner.close()


def _unlimited(request: Request) -> Request:
    return replace(request, problem=replace(request.problem, stop=(), max_tokens=None))
