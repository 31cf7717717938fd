"""The standard scheduler with another order of admission."""

from __future__ import annotations

from collections.abc import Mapping

from ablate.engines.local.interfaces import KVStore, Seq
from ablate.engines.local.scheduler import QueueScheduler
from ablate.types import Limits


def by_prompt(seq: Seq) -> tuple[float, int]:
    return (seq.prompt_len, seq.id)


def by_difficulty(seq: Seq) -> tuple[float, int]:
    difficulty = seq.request.problem.difficulty
    # problems that do not say come last, in order of arrival
    return (float("inf") if difficulty is None else difficulty, seq.id)


class ShortestFirstScheduler(QueueScheduler):
    """Counts how many requests were put ahead of one that came before them."""

    def __init__(self, cache: KVStore, limits: Limits, by: str) -> None:
        super().__init__(cache, limits, by_prompt if by == "prompt" else by_difficulty)
        self.by = by
        self._num_overtakes = 0

    @property
    def counters(self) -> Mapping[str, float]:
        return {**super().counters, "num_overtakes": float(self._num_overtakes)}

    def add(self, seq: Seq) -> None:
        self._num_overtakes += any(self._key(w) > self._key(seq) for w in self._waiting)
        super().add(seq)
