"""Prefix caching: prompts that begin alike are computed once."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from ablate.evidence import resolved
from ablate.plugins import Plugin, hookimpl
from ablate.types import Evidence, EvidenceState, Limits, ModelSpec, Requirements

if TYPE_CHECKING:
    from ablate.engines.local.interfaces import KVStore

LOCAL_BLOCK_SIZE = 16
SWITCHES: Mapping[str, tuple[str, bool]] = {
    "vllm": ("enable_prefix_caching", True),
    "sglang": ("disable_radix_cache", False),
    "lmdeploy": ("enable_prefix_caching", True),
    "llama_cpp": ("cache", True),
}
BLOCK_SIZES: Mapping[str, str] = {
    "vllm": "block_size",
    "sglang": "page_size",
    "lmdeploy": "cache_block_seq_len",
}


@dataclass(frozen=True)
class PrefixCache(Plugin):
    """Keep the KV of finished prompts in blocks of ``block_size`` tokens and reuse it by content.

    Blocks take the part of the KV memory that no sequence needs; the least recently used go first.
    ``block_size`` null: the engine's own, 16 in-process.
    """

    block_size: int | None = None

    source: ClassVar[str] = "automatic prefix caching in vLLM (2309.06180) and SGLang (2312.07104)"
    lossless: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.block_size is not None and self.block_size < 1:
            raise ValueError(f"block_size must be at least 1, not {self.block_size}")

    @hookimpl
    def ablate_requirements(self, engine: str) -> Requirements:
        return Requirements(needs=frozenset({"shared_blocks"}))

    @hookimpl(wrapper=True)
    def ablate_setup_cache(self, model: Any, limits: Limits) -> Generator[None, KVStore, KVStore]:
        from ablate_prefix_cache.store import PrefixStore

        inner = yield
        return PrefixStore(inner, self.block_size or LOCAL_BLOCK_SIZE)

    @hookimpl
    def ablate_engine_args(self, engine: str, model: ModelSpec) -> Mapping[str, Any] | None:
        if engine not in SWITCHES:
            return None
        switch = dict([SWITCHES[engine]])
        if self.block_size is None:
            return switch
        if engine not in BLOCK_SIZES:
            return None
        return {**switch, BLOCK_SIZES[engine]: self.block_size}

    @hookimpl
    def ablate_evidence(self, state: EvidenceState) -> Evidence:
        asked = state.counters.get("prefix_cache_queries", 0.0)
        hits = state.counters.get("prefix_cache_hits", 0.0)
        applied: bool | None = asked > 0
        detail = f"{hits:.0f} of {asked:.0f} prompt tokens found"
        if state.engine in SWITCHES:  # these look prompts up, or count them, with caching off, too
            said = resolved("prefix_cache", state, dict([SWITCHES[state.engine]]))
            applied = hits > 0 or said.applied
            detail = f"{detail}; {said.detail}"
        rate = {"prefix_cache_hit_rate": hits / asked if asked else 0.0}
        return Evidence("prefix_cache", applied, detail, rate)
