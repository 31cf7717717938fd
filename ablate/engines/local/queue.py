"""The sequences that wait, and who of them is next."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from heapq import heappop, heappush
from typing import Any

from ablate.engines.local.interfaces import Seq

Arrival = tuple[float, int]


def first_come(seq: Seq) -> Arrival:
    """First come, first served."""
    return (seq.arrival, seq.id)


class WaitingQueue(ABC):
    """Waiting sequences in an order of admission."""

    @abstractmethod
    def push(self, seq: Seq) -> None:
        """A sequence joins: a new one, or one that was preempted."""

    @abstractmethod
    def first(self) -> Seq:
        """Who is next. There must be one."""

    @abstractmethod
    def pop(self) -> Seq:
        """Take out who is next."""

    @abstractmethod
    def oldest(self) -> Seq | None:
        """Who came first of those that wait, whoever is next."""

    @abstractmethod
    def __len__(self) -> int: ...

    def restore(self, seqs: Iterable[Seq]) -> None:
        """Put back what was taken out and not admitted."""
        for seq in seqs:
            self.push(seq)

    def learn(self, seq: Seq) -> None:
        """A sequence ended: its length may say something of those that wait."""
        return


class KeyedQueue(WaitingQueue):
    """In the order of ``key``, the least first; of equal ones, the first that came.

    A key must not change while its sequence waits.
    """

    def __init__(self, key: Callable[[Seq], Any] = first_come) -> None:
        self._key = key
        self._next: list[tuple[Any, int, Seq]] = []
        self._arrived: list[tuple[Arrival, Seq]] = []  # may still hold some that have left
        self._waiting: set[int] = set()

    def push(self, seq: Seq) -> None:
        heappush(self._next, (self._key(seq), seq.id, seq))
        heappush(self._arrived, (first_come(seq), seq))
        self._waiting.add(seq.id)

    def first(self) -> Seq:
        return self._next[0][-1]

    def pop(self) -> Seq:
        seq = heappop(self._next)[-1]
        self._waiting.remove(seq.id)
        return seq

    def oldest(self) -> Seq | None:
        while self._arrived and self._arrived[0][-1].id not in self._waiting:
            heappop(self._arrived)
        return self._arrived[0][-1] if self._arrived else None

    def __len__(self) -> int:
        return len(self._next)
