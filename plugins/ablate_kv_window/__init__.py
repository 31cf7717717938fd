"""Attention sinks and a sliding window over the KV cache."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

from ablate.evidence import evicting
from ablate.plugins import Plugin, hookimpl
from ablate.types import Evidence, EvidenceState, Limits, Requirements

if TYPE_CHECKING:
    from ablate.engines.local.interfaces import KVStore


@dataclass(frozen=True)
class KvWindow(Plugin):
    """Keep the keys and values of a sequence's first ``sinks`` tokens and its newest ``window``.

    ``window``: tokens that a token sees, itself included, beside the sinks.
    """

    sinks: int = 4
    window: int = 252

    source: ClassVar[str] = "Xiao et al. 2023, StreamingLLM (2309.17453)"
    example: ClassVar[Mapping[str, Any]] = MappingProxyType({"sinks": 2, "window": 8})

    def __post_init__(self) -> None:
        if self.sinks < 0 or self.window < 1:
            raise ValueError(
                f"sinks must be at least 0 and window at least 1, not {self.sinks} and "
                f"{self.window}"
            )

    @hookimpl
    def ablate_requirements(self, engine: str) -> Requirements:
        # the beginning of a prompt, which another one could share, is what it forgets
        return Requirements(drops=frozenset({"shared_blocks"}))

    @hookimpl
    def ablate_setup_cache(self, model: Any, limits: Limits) -> KVStore:
        from ablate_kv_window.store import WindowStore

        return WindowStore(model, limits, self.sinks, self.window)

    @hookimpl
    def ablate_evidence(self, state: EvidenceState) -> Evidence:
        return evicting("kv_window", state, self.sinks + self.window)
