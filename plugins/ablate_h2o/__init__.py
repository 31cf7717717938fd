"""Heavy hitters of attention, and the newest tokens, in a KV cache of fixed size."""

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
class H2o(Plugin):
    """Keep ``budget`` tokens of a sequence: the newest, and those that attention looked at most.

    ``recent``: the share of the budget that is for the newest tokens. What is kept is chosen for
    each layer and key/value head by itself.
    """

    budget: int = 256
    recent: float = 0.5

    source: ClassVar[str] = "Zhang et al. 2023, H2O (2306.14048)"
    example: ClassVar[Mapping[str, Any]] = MappingProxyType({"budget": 10})

    def __post_init__(self) -> None:
        if self.budget < 2:
            raise ValueError(f"budget must be at least 2 tokens, not {self.budget}")
        if not 0 <= self.recent <= 1:
            raise ValueError(f"recent is a share from 0 to 1, not {self.recent}")

    @hookimpl
    def ablate_requirements(self, engine: str) -> Requirements:
        # tokens that are taken back have evicted others by then, and a block is in pieces
        return Requirements(drops=frozenset({"rollback", "shared_blocks"}))

    @hookimpl
    def ablate_setup_cache(self, model: Any, limits: Limits) -> KVStore:
        from ablate_h2o.store import HeavyHitterStore

        # a token that was just written must be there for the next one
        recent = max(round(self.budget * self.recent), 1)
        return HeavyHitterStore(model, limits, self.budget, recent)

    @hookimpl
    def ablate_evidence(self, state: EvidenceState) -> Evidence:
        return evicting("h2o", state, self.budget)
