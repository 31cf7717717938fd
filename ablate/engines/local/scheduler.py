"""The standard scheduler: chunked prefill and decoding mixed, preemption by recomputation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ablate.engines.local.interfaces import Chunk, KVStore, Scheduler, Seq
from ablate.engines.local.queue import KeyedQueue, WaitingQueue, first_come
from ablate.types import Limits


class QueueScheduler(Scheduler):
    """Running sequences first, then the waiting ones in the order of ``key`` (least first).

    ``queue``: of waiting sequences, where a key that never changes cannot say who is next.

    A sequence is admitted when its known tokens fit into the store. When running sequences outgrow
    it, the one admitted last is preempted: its tokens are kept and computed again later.
    """

    def __init__(
        self,
        cache: KVStore,
        limits: Limits,
        key: Callable[[Seq], Any] = first_come,
        queue: WaitingQueue | None = None,
    ) -> None:
        self._cache = cache
        self._limits = limits
        self._waiting = KeyedQueue(key) if queue is None else queue
        self._running: list[Seq] = []
        self._preempted: list[Seq] = []
        self._num_preemptions = 0
        self._num_overtakes = 0

    @property
    def running(self) -> int:
        return len(self._running)

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    @property
    def counters(self) -> Mapping[str, float]:
        """``num_overtakes``: admissions that left one waiting that had come earlier."""
        return {
            "num_preemptions": float(self._num_preemptions),
            "num_overtakes": float(self._num_overtakes),
        }

    def add(self, seq: Seq) -> None:
        self._waiting.push(seq)

    def finish(self, seq: Seq) -> None:
        self._running.remove(seq)
        self._cache.free(seq.id)
        self._waiting.learn(seq)

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

    def _make_room(self) -> None:
        """Preempt until the running ones fit."""
        while len(self._running) > 1 and not self._fit(self._running):
            self._preempt_last()

    def _take(self, seq: Seq, budget: int, chunks: list[Chunk]) -> int:
        n = min(len(seq.tokens) - seq.computed, budget)
        if n > 0:
            chunks.append(Chunk(seq, n))
        return max(n, 0)

    def _admit(self, budget: int, chunks: list[Chunk]) -> None:
        most = self._limits.max_num_seqs
        admitted: list[Seq] = []
        unready: list[Seq] = []
        # as many are passed over as could run: a long queue is not walked through in every step
        while self._waiting and budget > 0 and len(self._running) < most and len(unready) < most:
            if not self._fit([*self._running, self._waiting.first()]):
                break  # nobody overtakes: a long prompt would otherwise wait for ever
            seq = self._waiting.pop()
            if not self._cache.ready(seq):
                unready.append(seq)
                continue
            self._enter(seq)
            admitted.append(seq)
            budget -= self._take(seq, budget, chunks)
        self._count_overtakes(admitted)
        self._waiting.restore(unready)

    def _enter(self, seq: Seq) -> None:
        self._running.append(seq)
        self._hold(seq)

    def _hold(self, seq: Seq) -> None:
        seq.computed = self._cache.add(seq)
        if not seq.token_times:
            seq.cached_tokens = seq.computed

    def _count_overtakes(self, admitted: list[Seq]) -> None:
        oldest = self._waiting.oldest() if admitted else None
        if oldest is not None:
            self._num_overtakes += sum(first_come(oldest) < first_come(s) for s in admitted)

    def _fit(self, seqs: Sequence[Seq]) -> bool:
        """Whether these can run together, with all that their next step may write."""
        ahead = self._limits.num_lookahead_tokens
        return self._cache.fits([len(seq.tokens) + ahead for seq in seqs])

    def _preempt_last(self) -> None:
        seq = self._running.pop()
        self._cache.free(seq.id)
        seq.computed = 0
        self._num_preemptions += 1
        self._preempted.append(seq)
        self._waiting.push(seq)
