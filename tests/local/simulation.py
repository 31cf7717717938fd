"""A scheduler serving made-up requests over a store that only counts, one step after another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from hypothesis import strategies as st

from ablate.engines.local.interfaces import KVStore, Scheduler, Seq
from ablate.engines.local.queue import first_come
from ablate.testing.schedule import CAPACITY, CountingStore
from ablate.types import Limits, Problem, Request

PATIENCE = 20_000  # steps


@dataclass(frozen=True)
class Job:
    """A request: when it arrives (in steps), how long it is, what it says of itself.

    ``most``: its token limit; None: its output's length. ``made``: tokens that a step makes of it.
    """

    prompt: int
    output: int
    arrival: int = 0
    domain: str = "a"
    difficulty: float | None = None
    most: int | None = None
    made: int = 1


@dataclass
class Seen:
    """Ids in order, the step of each end, and how often one was overtaken at most."""

    admitted: list[int] = field(default_factory=list)
    preempted: list[int] = field(default_factory=list)
    ended: dict[int, int] = field(default_factory=dict)
    most_overtaken: int = 0


class RecordingStore(CountingStore):
    """One that tells who came in."""

    def __init__(self) -> None:
        super().__init__()
        self._entered: list[int] = []

    def add(self, seq: Seq) -> int:
        self._entered.append(seq.id)
        return super().add(seq)

    def take_entered(self) -> list[int]:
        entered, self._entered = self._entered, []
        return entered


jobs = st.lists(
    st.builds(
        Job,
        prompt=st.integers(1, 50),
        output=st.integers(1, 40),
        arrival=st.integers(0, 60),
        domain=st.sampled_from("abc"),
        difficulty=st.none() | st.sampled_from([1.0, 2.0, 5.0]),
        most=st.none() | st.just(45),
        made=st.sampled_from([1, 1, 3]),
    ),
    min_size=1,
    max_size=14,
).map(lambda found: sorted(found, key=lambda job: job.arrival))
limits = st.builds(
    Limits,
    max_num_seqs=st.integers(1, 6),
    max_num_batched_tokens=st.integers(1, 60),
    max_model_len=st.just(CAPACITY),
    kv_cache_memory_bytes=st.just(CAPACITY),
    num_lookahead_tokens=st.integers(0, 4),
)


def sequence(number: int, job: Job) -> Seq:
    problem = Problem(str(number), job.domain, "", "", job.difficulty)
    request = Request(str(number), problem, 0, 0)
    most = job.output if job.most is None else max(job.most, job.output)
    return Seq(number, request, [0] * job.prompt, job.prompt, most, float(job.arrival), 0.0)


def simulate(
    make: Callable[[KVStore, Limits], Scheduler], asked: Sequence[Job], limits: Limits
) -> Seen:
    """Serve all of ``asked``; checks what every scheduler must keep to."""
    return _Serving(make, asked, limits).run()


class _Serving:
    def __init__(
        self, make: Callable[[KVStore, Limits], Scheduler], asked: Sequence[Job], limits: Limits
    ) -> None:
        self._store = RecordingStore()
        self._scheduler = make(self._store, limits)
        self._limits = limits
        self._jobs = asked
        self._to_come = [sequence(number, job) for number, job in enumerate(asked)]
        self._waiting: dict[int, Seq] = {}
        self._running: dict[int, Seq] = {}
        self._overtaken: Counter[int] = Counter()
        self._seen = Seen()

    def run(self) -> Seen:
        for step in range(PATIENCE):
            while self._to_come and self._to_come[0].arrival <= step:
                seq = self._to_come.pop(0)
                self._scheduler.add(seq)
                self._waiting[seq.id] = seq
            if self._waiting or self._running:
                self._step(step)
            elif not self._to_come:
                break
        assert len(self._seen.ended) == len(self._jobs), "some never end"
        assert self._scheduler.running == self._scheduler.waiting == self._store.tokens == 0
        return self._seen

    def _step(self, step: int) -> None:
        chunks = self._scheduler.schedule()
        self._follow(self._scheduler.take_preempted())
        assert chunks, "work is left and none is scheduled"
        assert sum(c.n for c in chunks) <= self._limits.max_num_batched_tokens
        assert self._scheduler.running <= self._limits.max_num_seqs
        for chunk in chunks:
            seq = chunk.seq
            seq.computed += chunk.n
            self._store.commit(seq, seq.computed)
            if seq.computed == len(seq.tokens):
                self._make(seq, step)
        assert self._store.tokens <= self._store.capacity_tokens

    def _make(self, seq: Seq, step: int) -> None:
        job = self._jobs[seq.id]
        left = job.output - (len(seq.tokens) - seq.prompt_len)
        seq.tokens += [0] * min(job.made, left)
        seq.token_times.append(float(step))
        if left <= job.made:
            del self._running[seq.id]
            self._scheduler.finish(seq)
            self._seen.ended[seq.id] = step

    def _follow(self, preempted: Sequence[Seq]) -> None:
        """Who came in and went in the step just scheduled, from what the store holds."""
        self._seen.preempted += [seq.id for seq in preempted]
        for seq in preempted:
            self._waiting[seq.id] = self._running.pop(seq.id)
            del self._overtaken[seq.id]
        for number in self._store.take_entered():
            seq = self._running[number] = self._waiting.pop(number)
            self._seen.admitted.append(number)
            for other in self._waiting.values():
                if first_come(other) < first_come(seq):
                    self._overtaken[other.id] += 1
                    self._seen.most_overtaken = max(self._overtaken.values())
