"""The standard scheduler: chunked prefill and decoding mixed, preemption by recomputation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ablate.engines.local.interfaces import Chunk, KVStore, Scheduler, Seq
from ablate.types import Limits


def first_come(seq: Seq) -> Any:
    """First come, first served."""
    return seq.id


class QueueScheduler(Scheduler):
    """Running sequences first, then the waiting ones in the order of ``key`` (least first).

    A sequence is admitted when its known tokens fit into the store. When running sequences outgrow
    it, the one admitted last is preempted: its tokens are kept and computed again later.
    """

    def __init__(
        self, cache: KVStore, limits: Limits, key: Callable[[Seq], Any] = first_come
    ) -> None:
        self._cache = cache
        self._limits = limits
        self._key = key
        self._waiting: list[Seq] = []
        self._running: list[Seq] = []
        self._preempted: list[Seq] = []
        self._num_preemptions = 0

    @property
    def running(self) -> int:
        return len(self._running)

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    @property
    def counters(self) -> Mapping[str, float]:
        return {"num_preemptions": float(self._num_preemptions)}

    def add(self, seq: Seq) -> None:
        self._waiting.append(seq)
        self._waiting.sort(key=self._key)

    def finish(self, seq: Seq) -> None:
        self._running.remove(seq)
        self._cache.free(seq.id)

    def take_preempted(self) -> list[Seq]:
        taken, self._preempted = self._preempted, []
        return taken

    def schedule(self) -> list[Chunk]:
        self._make_room()
        budget = self._limits.max_num_batched_tokens
        chunks: list[Chunk] = []
        for seq in self._running:
            budget -= self._take(seq, budget, chunks)
        if not self._preempted:
            self._admit(budget, chunks)
        return chunks

    def _take(self, seq: Seq, budget: int, chunks: list[Chunk]) -> int:
        n = min(len(seq.tokens) - seq.computed, budget)
        if n > 0:
            chunks.append(Chunk(seq, n))
        return max(n, 0)

    def _admit(self, budget: int, chunks: list[Chunk]) -> None:
        for seq in list(self._waiting):
            if budget <= 0 or len(self._running) >= self._limits.max_num_seqs:
                return
            if not self._fit([*self._running, seq]):
                return  # nobody overtakes: a long prompt would otherwise wait for ever
            if not self._cache.ready(seq):
                continue
            self._waiting.remove(seq)
            self._running.append(seq)
            seq.computed = self._cache.add(seq)
            if not seq.token_times:
                seq.cached_tokens = seq.computed
            budget -= self._take(seq, budget, chunks)

    def _fit(self, seqs: Sequence[Seq]) -> bool:
        """Whether these can run together, with all that their next step may write."""
        ahead = self._limits.num_lookahead_tokens
        return self._cache.fits([len(seq.tokens) + ahead for seq in seqs])

    def _make_room(self) -> None:
        while len(self._running) > 1 and not self._fit(self._running):
            seq = self._running.pop()
            self._cache.free(seq.id)
            seq.computed = 0
            self._num_preemptions += 1
            self._preempted.append(seq)
            self.add(seq)
