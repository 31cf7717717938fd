"""Prefix caching: prompts that begin alike are computed once."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from ablate.plugins import Plugin, hookimpl
from ablate.types import Evidence, EvidenceState, Limits, Requirements

if TYPE_CHECKING:
    from ablate.engines.local.interfaces import KVStore


@dataclass(frozen=True)
class PrefixCache(Plugin):
    """Keep the KV of finished prompts in blocks of ``block_size`` tokens and reuse it by content.

    Blocks take the part of the KV memory that no sequence needs; the least recently used go first.
    """

    block_size: int = 16

    source: ClassVar[str] = "automatic prefix caching in vLLM (2309.06180) and SGLang (2312.07104)"
    lossless: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.block_size < 1:
            raise ValueError(f"block_size must be at least 1, not {self.block_size}")

    @hookimpl
    def ablate_requirements(self, engine: str) -> Requirements:
        return Requirements(needs=frozenset({"shared_blocks"}))

    @hookimpl(wrapper=True)
    def ablate_setup_cache(self, model: Any, limits: Limits) -> Generator[None, KVStore, KVStore]:
        from ablate_prefix_cache.store import PrefixStore

        inner = yield
        return PrefixStore(inner, self.block_size)

    @hookimpl
    def ablate_evidence(self, state: EvidenceState) -> Evidence:
        asked = state.counters.get("prefix_cache_queries", 0.0)
        hits = state.counters.get("prefix_cache_hits", 0.0)
        return Evidence(
            "prefix_cache",
            asked > 0,
            f"{hits:.0f} of {asked:.0f} prompt tokens found",
            {"prefix_cache_hit_rate": hits / asked if asked else 0.0},
        )
