"""What tests of plugins for engines that own their loop share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from ablate.compatibility import incompatibilities
from ablate.engines.base import CAPABILITIES, Engine, EngineContext, Session
from ablate.plugins import ArmPlugins, Plugin
from ablate.types import EngineFacts, EvidenceState, ModelSpec

BACKENDS = ("vllm", "sglang", "lmdeploy", "llama_cpp")
MODEL = ModelSpec("some/model", "some/model")


@dataclass(frozen=True)
class Serving(Engine):
    """Asks for engine arguments and offers all that drafting and sharing need."""

    on: str = "vllm"

    calls: ClassVar[frozenset[str]] = frozenset({"ablate_engine_args"})
    backends: ClassVar[tuple[str, ...]] = BACKENDS
    capabilities: ClassVar[frozenset[str]] = CAPABILITIES

    @property
    def backend(self) -> str:
        return self.on

    def open(self, context: EngineContext) -> Session:
        raise NotImplementedError


def arguments(plugin: Plugin, backend: str) -> Mapping[str, Any] | None:
    return ArmPlugins({"it": plugin}).engine_args(backend, MODEL)["it"]


def conflicts(plugins: Mapping[str, Plugin], backend: str = "vllm") -> list[str]:
    engines: Mapping[str, type[Engine]] = {"serving": Serving}
    return incompatibilities(plugins, "serving", Serving(backend), engines, MODEL)


def state(
    backend: str,
    counters: Mapping[str, float] | None = None,
    stage: Literal["warmup", "measured"] = "measured",
    kv_bytes_per_token: float | None = None,
    **settings: Any,
) -> EvidenceState:
    facts = EngineFacts(settings, kv_bytes_per_token=kv_bytes_per_token)
    return EvidenceState(backend, stage, {"facts": facts}, counters or {})
