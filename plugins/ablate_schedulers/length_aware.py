"""Admission by expected length."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from heapq import heappop, heappush
from math import inf
from typing import NamedTuple

from ablate.engines.local.interfaces import KVStore, Seq
from ablate.engines.local.queue import Arrival, WaitingQueue, first_come
from ablate.types import Limits
from ablate_schedulers.lengths import LengthHistory
from ablate_schedulers.schedulers import OrderedScheduler


class Kind(NamedTuple):
    """Sequences of which the same length is expected."""

    domain: str
    difficulty: float | None
    limit: int
    made: int


class LengthQueue(WaitingQueue):
    """A line for each kind, first come first; who is next is the head of one of them.

    Every end of a sequence changes what is expected, and there are few kinds, so the kinds and not
    the sequences are put in order. Who was overtaken by ``max_overtaken`` later ones is next.
    """

    def __init__(self, history: LengthHistory, longest: bool, max_overtaken: int | None) -> None:
        self.predicted: list[tuple[float, int]] = []
        """Expected and actual length of those that ended, where there was something to go by."""
        self._history = history
        self._sign = -1 if longest else 1
        self._max_overtaken = inf if max_overtaken is None else max_overtaken
        self._lines: dict[Kind, list[tuple[Arrival, Seq]]] = {}
        self._size = 0
        self._taken = 0
        # what ``_taken`` is when all have been taken that waited before it and nobody later was
        self._fair: dict[int, int] = {}
        self._expected: dict[int, float] = {}
        self._ranks: dict[Kind, float] = {}  # until a sequence ends

    def __len__(self) -> int:
        return self._size

    def push(self, seq: Seq) -> None:
        # all that wait came earlier; of one that was preempted, its first time counts
        self._fair.setdefault(seq.id, self._taken + self._size)
        self._insert(seq)

    def first(self) -> Seq:
        heads = [line[0][-1] for line in self._lines.values()]
        oldest = min(heads, key=first_come)
        patient = self._taken - self._fair[oldest.id] < self._max_overtaken
        return min(heads, key=self._rank) if patient else oldest

    def pop(self) -> Seq:
        seq = self.first()
        kind = _kind(seq)
        heappop(self._lines[kind])
        if not self._lines[kind]:
            del self._lines[kind]
        self._size -= 1
        self._taken += 1
        if not kind.made and self._history.knows(seq):
            self._expected[seq.id] = self._history.remaining(seq)
        return seq

    def oldest(self) -> Seq | None:
        heads = (line[0][-1] for line in self._lines.values())
        return min(heads, key=first_come, default=None)

    def restore(self, seqs: Iterable[Seq]) -> None:
        for seq in seqs:
            self._taken -= 1
            self._insert(seq)

    def learn(self, seq: Seq) -> None:
        self._history.learn(seq)
        self._ranks.clear()
        del self._fair[seq.id]
        expected = self._expected.pop(seq.id, None)
        if expected is not None:
            self.predicted.append((expected, len(seq.tokens) - seq.prompt_len))

    def _insert(self, seq: Seq) -> None:
        heappush(self._lines.setdefault(_kind(seq), []), (first_come(seq), seq))
        self._size += 1

    def _rank(self, seq: Seq) -> tuple[float, Arrival]:
        kind = _kind(seq)
        if kind not in self._ranks:
            self._ranks[kind] = self._sign * self._history.remaining(seq)
        return (self._ranks[kind], first_come(seq))


class LengthAwareScheduler(OrderedScheduler):
    """Its queue remembers what was expected, so that it can be held against what came."""

    def __init__(
        self, order: str, cache: KVStore, limits: Limits, longest: bool, max_overtaken: int | None
    ) -> None:
        self._lengths = LengthQueue(LengthHistory(), longest, max_overtaken)
        super().__init__(order, cache, limits, queue=self._lengths)

    @property
    def predicted(self) -> list[tuple[float, int]]:
        return self._lengths.predicted

    @property
    def counters(self) -> Mapping[str, float]:
        """``num_predicted``: ended requests whose length had been expected from others'."""
        return {**super().counters, "num_predicted": float(len(self.predicted))}


def _kind(seq: Seq) -> Kind:
    problem = seq.request.problem
    made = len(seq.tokens) - seq.prompt_len
    return Kind(problem.domain, problem.difficulty, seq.max_tokens, made)
