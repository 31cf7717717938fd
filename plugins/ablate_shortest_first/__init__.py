"""Shortest-job-first admission."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ablate.plugins import Plugin, hookimpl
from ablate.types import Evidence, EvidenceState, Limits

if TYPE_CHECKING:
    from ablate.engines.local.interfaces import KVStore, Scheduler

KEYS = ("prompt", "difficulty")


@dataclass(frozen=True)
class ShortestFirst(Plugin):
    """Admit waiting requests by declared length: ``by`` prompt tokens, or the problem's difficulty.

    Difficulty stands for the expected output length where a domain states it.
    """

    by: str = "prompt"

    source: ClassVar[str] = "shortest job first; for LLM serving: Fu et al. 2024 (2408.15792)"
    lossless: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.by not in KEYS:
            raise ValueError(f"by must be one of {', '.join(KEYS)}, not {self.by!r}")

    @hookimpl
    def ablate_schedule(self, cache: KVStore, limits: Limits) -> Scheduler:
        from ablate_shortest_first.scheduler import ShortestFirstScheduler

        return ShortestFirstScheduler(cache, limits, self.by)

    @hookimpl
    def ablate_evidence(self, state: EvidenceState) -> Evidence:
        by = getattr(state.components["scheduler"], "by", None)
        overtakes = state.counters.get("num_overtakes", 0.0)
        return Evidence(
            "shortest_first",
            by == self.by,
            f"{overtakes:.0f} requests were queued ahead of an earlier one",
            {"num_overtakes": overtakes},
        )
