"""What the runner knows of an engine: it opens, runs loads of requests, proves itself, closes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from ablate.plugins import ArmPlugins
from ablate.types import Completion, EvidenceState, Load, ModelSpec, Sampling, Usage


@dataclass(frozen=True)
class EngineContext:
    """What an engine is opened with.

    ``max_concurrency`` is the most requests that the workload can have in flight.
    """

    model: ModelSpec
    plugins: ArmPlugins
    sampling: Sampling
    max_concurrency: int


class Session(ABC):
    """An opened engine, holding its model."""

    @property
    @abstractmethod
    def weight_bytes(self) -> int:
        """Bytes of the model's weights as held for inference."""

    @property
    @abstractmethod
    def info(self) -> Mapping[str, str]:
        """What the engine says of itself: device, dtype, threads, kernels."""

    @abstractmethod
    def run(
        self,
        load: Load,
        on_completion: Callable[[Completion], None],
        on_usage: Callable[[Usage], None],
    ) -> Mapping[str, float]:
        """Serve every request of ``load``; returns the counters of this run.

        ``on_completion`` is called as each request ends, ``on_usage`` with each telemetry sample;
        times count from the start of this call.
        """

    @abstractmethod
    def evidence_state(self, stage: Literal["warmup", "measured"]) -> EvidenceState:
        """What plugins may look at, with the counters of the last run."""

    @abstractmethod
    def close(self) -> None:
        """Free what the session holds."""


@dataclass(frozen=True)
class Engine(ABC):
    """An engine as a recipe configures it: fields are its options.

    ``calls``: the hooks it calls, from which the support matrix is computed. ``capabilities``: what
    plugins may need of it. ``preload``: modules imported once before trials are forked.
    """

    calls: ClassVar[frozenset[str]]
    capabilities: ClassVar[frozenset[str]] = frozenset()
    preload: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def open(self, context: EngineContext) -> Session:
        """Load the model and set the components up. Raises TrialError when it cannot."""
