"""What every order of admission shares: it is proven by what it changed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ablate.evidence import undecided
from ablate.plugins import Plugin, hookimpl
from ablate.types import Evidence, EvidenceState, Limits

if TYPE_CHECKING:
    from ablate.engines.local.interfaces import KVStore
    from ablate_schedulers.schedulers import OrderedScheduler

Numbers = Mapping[str, float]


@dataclass(frozen=True)
class Ordering(Plugin, ABC):
    """A plugin that is an order of admission. It took effect if it ever changed who was next."""

    name: ClassVar[str]
    lossless: ClassVar[bool] = True

    @abstractmethod
    def scheduler(self, cache: KVStore, limits: Limits) -> OrderedScheduler:
        """What admits in this order, and says so by the plugin's name."""

    @hookimpl
    def ablate_schedule(self, cache: KVStore, limits: Limits) -> OrderedScheduler:
        return self.scheduler(cache, limits)

    @hookimpl
    def ablate_evidence(self, state: EvidenceState) -> Evidence:
        serving = getattr(state.components.get("scheduler"), "order", "of the engine")
        if serving != self.name:
            return Evidence(self.name, False, f"the order in force is {serving}")
        numbers = self.numbers(state)
        applied = True if self.changed(numbers) else undecided(state)
        return Evidence(self.name, applied, self.told(numbers), numbers)

    def numbers(self, state: EvidenceState) -> dict[str, float]:
        """What was counted in a run."""
        return {"num_overtakes": state.counters.get("num_overtakes", 0.0)}

    def changed(self, numbers: Numbers) -> bool:
        """Whether anything differs from first come, first served."""
        return numbers["num_overtakes"] > 0

    def told(self, numbers: Numbers) -> str:
        """The numbers in words."""
        overtakes = numbers["num_overtakes"]
        if overtakes:
            return f"{overtakes:.0f} requests were admitted before an earlier one that waited"
        return (
            "nobody who waited was overtaken, so nothing differs from first come, first served: "
            "let more requests wait, by more at once or a lower engine.local.max_num_seqs"
        )
