"""Whatever arrives, the scheduler keeps within its limits and everything ends."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from ablate.engines.local.interfaces import Seq
from ablate.engines.local.queue import KeyedQueue, first_come
from ablate.engines.local.scheduler import QueueScheduler
from ablate.testing.schedule import CountingStore
from ablate.types import Limits
from tests.local.simulation import Job, jobs, limits, sequence, simulate


@settings(deadline=None, max_examples=100)
@given(jobs, limits)
def test_limits_hold_all_end_and_nobody_overtakes(asked: list[Job], within: Limits) -> None:
    seen = simulate(QueueScheduler, asked, within)
    assert seen.most_overtaken == 0
    if not seen.preempted:
        assert seen.admitted == sorted(seen.admitted)


def test_first_come_is_by_arrival_not_by_number() -> None:
    early, late = sequence(1, Job(1, 1, arrival=2)), sequence(0, Job(1, 1, arrival=5))
    assert min(early, late, key=first_come) is early


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5))), st.data())
def test_a_queue_gives_the_least_and_knows_the_oldest(
    asked: Sequence[tuple[int, int]], data: st.DataObject
) -> None:
    queue = KeyedQueue(lambda seq: seq.prompt_len)
    inside: list[Seq] = []
    for number, (size, arrival) in enumerate(asked):
        seq = sequence(number, Job(size, 1, arrival))
        queue.push(seq)
        inside.append(seq)
        if data.draw(st.booleans()):
            assert queue.oldest() is min(inside, key=first_come)
            expected = min(inside, key=lambda s: (s.prompt_len, s.id))
            assert queue.first() is expected
            assert queue.pop() is expected
            if data.draw(st.booleans()):
                queue.restore([expected])
            else:
                inside.remove(expected)
    assert len(queue) == len(inside)
    assert queue.oldest() is (min(inside, key=first_come) if inside else None)


class Unready(CountingStore):
    """Lets one sequence in and the others wait for it."""

    looks = 0

    def ready(self, seq: Seq) -> bool:
        self.looks += 1
        return not self._held


def test_a_long_queue_is_not_walked_through() -> None:
    """A key is asked for once a sequence, and a step looks at no more than can run."""
    asked: list[int] = []

    def key(seq: Seq) -> int:
        asked.append(seq.id)
        return seq.id

    store = Unready()
    scheduler = QueueScheduler(store, Limits(4, 100, 100, 100), key)
    for number in range(1000):
        scheduler.add(sequence(number, Job(1, 1)))
    assert len(asked) == 1000
    scheduler.schedule()
    assert store.looks <= 1 + 4
    assert (scheduler.running, scheduler.waiting) == (1, 999)
    assert len(asked) <= 1000 + 4
