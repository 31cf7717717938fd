"""Schedulers: whatever arrives, limits are kept and everything ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random

from ablate.engines.local.interfaces import KVStore, Scheduler, Seq
from ablate.testing.findings import Finding, guarded, judged
from ablate.types import Limits, Problem, Request

MakeScheduler = Callable[[KVStore, Limits], Scheduler]

LOADS = 20
CAPACITY = 100
PATIENCE = 5000  # steps; the longest load takes a few hundred
DOMAINS = ("arithmetic", "logic")
MOST_A_STEP = 3  # tokens: steps may write some that are computed later


class CountingStore(KVStore):
    """A store that only counts: a scheduler sees nothing else of a store."""

    capacity_tokens = CAPACITY
    bytes_per_token = 1.0
    allocated_bytes = CAPACITY

    def __init__(self) -> None:
        self._held: dict[int, int] = {}

    @property
    def tokens(self) -> int:
        return sum(self._held.values())

    def add(self, seq: Seq) -> int:
        self._held[seq.id] = 0
        return 0

    def free(self, seq_id: int) -> None:
        del self._held[seq_id]

    def length(self, seq_id: int) -> int:
        return self._held[seq_id]

    def commit(self, seq: Seq, length: int) -> None:
        self._held[seq.id] = length

    begin = append = read = None  # type: ignore[assignment]


def examine(make_scheduler: MakeScheduler) -> list[Finding]:
    """Serves random loads without a model; most steps make one token of a sequence."""
    return guarded("scheduler", _loads, make_scheduler)


def _loads(make_scheduler: MakeScheduler) -> Iterator[Finding]:
    problems: list[str] = []
    for seed in range(LOADS):
        rng = Random(seed)
        limits = Limits(
            rng.randint(1, 6), rng.randint(1, 60), CAPACITY, CAPACITY, rng.randint(0, 4)
        )
        problems = list(_Load(make_scheduler, limits, rng).serve())
        if problems:
            break
    yield from judged("scheduler", problems, f"{LOADS} loads are served within their limits")


class _Load:
    """Up to twelve requests under one set of limits."""

    def __init__(self, make_scheduler: MakeScheduler, limits: Limits, rng: Random) -> None:
        self._limits = limits
        self._rng = rng
        self._store = CountingStore()
        self._scheduler = make_scheduler(self._store, limits)
        self._left = rng.randint(1, 12)
        self._sizes = [(rng.randint(1, 50), rng.randint(1, 40)) for _ in range(self._left)]
        for seq_id, (prompt, output) in enumerate(self._sizes):
            problem = Problem(str(seq_id), rng.choice(DOMAINS), "", "", float(rng.randint(1, 3)))
            request = Request(str(seq_id), problem, 0, 0)
            seq = Seq(seq_id, request, [0] * prompt, prompt, output, 0.0, 0.0)
            self._scheduler.add(seq)

    def serve(self) -> Iterator[str]:
        """Sentences about what was wrong, ending at the first step that was."""
        for _ in range(PATIENCE):
            if not self._left:
                yield from self._after()
                return
            problems = list(self._step())
            if problems:
                yield from (f"{problem} ({self._limits})" for problem in problems)
                return
        yield f"every request should end, and {self._left} of {len(self._sizes)} never do"

    def _step(self) -> Iterator[str]:
        limits, scheduler = self._limits, self._scheduler
        chunks = scheduler.schedule()
        scheduler.take_preempted()
        if not chunks:
            yield f"schedule() should not be empty while {self._left} requests are left"
        tokens = sum(chunk.n for chunk in chunks)
        if tokens > limits.max_num_batched_tokens:
            yield f"a step should have at most max_num_batched_tokens tokens, and has {tokens}"
        if max(scheduler.running, len(chunks)) > limits.max_num_seqs:
            yield f"at most max_num_seqs should run, and {scheduler.running} do"
        for chunk in chunks:
            self._compute(chunk.seq, chunk.n)
        if self._store.tokens > CAPACITY:
            yield f"at most capacity_tokens should be held, and {self._store.tokens} are"

    def _compute(self, seq: Seq, n: int) -> None:
        seq.computed += n
        self._store.commit(seq, seq.computed)
        if seq.computed < len(seq.tokens):
            return
        made = self._rng.choice((1, 1, 1, MOST_A_STEP))
        seq.tokens += [0] * min(made, seq.remaining)
        if seq.remaining == 0:
            self._scheduler.finish(seq)
            self._left -= 1

    def _after(self) -> Iterator[str]:
        if self._scheduler.running or self._scheduler.waiting or self._store.tokens:
            yield (
                "nothing should run, wait or be held once every request has ended; running "
                f"{self._scheduler.running}, waiting {self._scheduler.waiting}, "
                f"{self._store.tokens} tokens held"
            )
