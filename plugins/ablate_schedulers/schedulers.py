"""The standard scheduler with orders that are known when a request comes."""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable, Mapping
from typing import Any

from ablate.engines.local.interfaces import KVStore, Seq
from ablate.engines.local.queue import WaitingQueue, first_come
from ablate.engines.local.scheduler import QueueScheduler
from ablate.types import Limits

Key = Callable[[Seq], Any]


class OrderedScheduler(QueueScheduler):
    """One that says by its name which order is in force."""

    def __init__(
        self,
        order: str,
        cache: KVStore,
        limits: Limits,
        key: Key = first_come,
        queue: WaitingQueue | None = None,
    ) -> None:
        super().__init__(cache, limits, key, queue)
        self.order = order


def by_size(by: str, longest: bool) -> Key:
    """By the size that a request states; of equal ones, and of those without, the first first."""
    sign = -1.0 if longest else 1.0

    def key(seq: Seq) -> Any:
        size = seq.prompt_len if by == "prompt" else seq.request.problem.difficulty
        return (size is None, 0.0 if size is None else sign * size, first_come(seq))

    return key


class PriorityScheduler(OrderedScheduler):
    """The most urgent first, in admission, in the tokens of a step, and in who stays.

    Running sequences are kept in the order of urgency too, so that the last of them, who is
    preempted first, is the least urgent one. One is displaced only for a strictly more urgent one,
    and only if that gets in by it: what is preempted cannot displace in turn, so it ends.
    """

    def __init__(
        self,
        order: str,
        cache: KVStore,
        limits: Limits,
        priorities: Mapping[str, int],
        preempt: bool = True,
    ) -> None:
        super().__init__(order, cache, limits, lambda seq: (self._urgency(seq), first_come(seq)))
        self.seen: set[str] = set()
        self._priorities = priorities
        self._preempt = preempt
        self._num_displaced = 0

    @property
    def counters(self) -> Mapping[str, float]:
        """``num_displaced``: preemptions that let a more urgent one in."""
        return {**super().counters, "num_displaced": float(self._num_displaced)}

    def add(self, seq: Seq) -> None:
        self.seen.add(seq.request.problem.domain)
        super().add(seq)

    def _urgency(self, seq: Seq) -> int:
        return self._priorities.get(seq.request.problem.domain, 0)

    def _enter(self, seq: Seq) -> None:
        insort(self._running, seq, key=self._urgency)  # behind those of the same priority
        self._hold(seq)

    def _make_room(self) -> None:
        """Lets the urgent in, too: before the tokens of the step are shared out."""
        super()._make_room()
        while self._waiting and self._running:
            seq = self._waiting.first()
            if self._urgency(seq) >= self._urgency(self._running[-1]):
                break
            displaced = self._in_the_way(seq)
            if displaced is None or not self._cache.ready(seq):
                break
            self._let_in(seq, len(displaced))

    def _in_the_way(self, seq: Seq) -> list[Seq] | None:
        """The fewest and least urgent that must go for ``seq``; None if it cannot get in."""
        staying, found = list(self._running), []
        while not self._gets_in(seq, staying):
            other = staying.pop() if staying and self._preempt else None
            if other is None or self._urgency(other) <= self._urgency(seq):
                return None
            found.append(other)
        return found

    def _gets_in(self, seq: Seq, staying: list[Seq]) -> bool:
        return len(staying) < self._limits.max_num_seqs and self._fit([*staying, seq])

    def _let_in(self, seq: Seq, displaced: int) -> None:
        self._waiting.pop()
        for _ in range(displaced):
            self._preempt_last()
        self._num_displaced += displaced
        self._enter(seq)
        self._count_overtakes([seq])
