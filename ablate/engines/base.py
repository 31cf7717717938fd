"""What the runner knows of an engine: it opens, runs loads of requests, proves itself, closes."""

from __future__ import annotations

import resource
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from ablate.engine_args import merge_engine_args
from ablate.plugins import ArmPlugins
from ablate.types import Completion, EvidenceState, Load, ModelSpec, Sampling, Usage

CAPABILITIES = frozenset({"rollback", "shared_blocks", "batching", "logits"})
"""All that a plugin can need of an engine."""


def has_gpu() -> bool:
    """Whether NVIDIA's driver is here; asked without torch."""
    return Path("/dev/nvidiactl").exists()


@dataclass(frozen=True)
class EngineContext:
    """What an engine is opened with.

    ``max_concurrency`` is the most requests that the workload can have in flight. ``directory``:
    where the trial's logs go; None: the working directory.
    """

    model: ModelSpec
    plugins: ArmPlugins
    sampling: Sampling
    max_concurrency: int
    directory: Path | None = None


class Session(ABC):
    """An opened engine, holding its model."""

    @property
    @abstractmethod
    def weight_bytes(self) -> int | None:
        """Bytes of the model's weights as held for inference; None: the engine does not say."""

    @property
    @abstractmethod
    def info(self) -> Mapping[str, str]:
        """What the engine says of itself: device, dtype, threads, kernels."""

    @property
    def cpu_seconds(self) -> float | None:
        """CPU time that serving has taken so far, in this process unless the engine has others.

        None: it cannot be told, as of a server elsewhere.
        """
        return time.process_time()

    def cpu_since(self, before: float | None) -> float | None:
        """``cpu_seconds`` since it was ``before``."""
        now = self.cpu_seconds
        return None if before is None or now is None else now - before

    @property
    def peak_rss_bytes(self) -> int | None:
        """Largest resident memory so far, of this process unless the engine has others.

        None: it cannot be told.
        """
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

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
    plugins may need of it. ``backends``: whose arguments an engine that owns its loop takes, if it
    asks for ``ablate_engine_args``. ``preload``: modules imported once before trials are forked.
    """

    calls: ClassVar[frozenset[str]]
    backends: ClassVar[tuple[str, ...]] = ()
    capabilities: ClassVar[frozenset[str]] = frozenset()
    preload: ClassVar[tuple[str, ...]] = ()

    @property
    def backend(self) -> str:
        """What this engine runs on, as hooks are told; one of ``backends``, if it has any."""
        return self.backends[0] if self.backends else "local"

    @property
    def refusal(self) -> str:
        """Why this engine takes no plugin's arguments, as a sentence; empty where it does."""
        return ""

    @property
    def own_args(self) -> Mapping[str, Any]:
        """Engine arguments that the recipe itself gives; no optimization may set them, too."""
        return {}

    def merged_args(
        self, by_plugin: Mapping[str, Mapping[str, Any] | None]
    ) -> tuple[dict[str, Any], list[str]]:
        """The recipe's and the optimizations' arguments in one mapping, and what conflicts."""
        given = {name: args for name, args in by_plugin.items() if args}
        return merge_engine_args({"the recipe's engine": self.own_args, **given})

    def problems(self, args: Mapping[str, Any]) -> Sequence[str]:
        """Sentences that stop an arm with these engine arguments, found before anything is loaded.

        Values that are functions stand for what is made when the engine opens.
        """
        return ()

    @abstractmethod
    def open(self, context: EngineContext) -> Session:
        """Load the model and set the components up. Raises TrialError when it cannot."""
