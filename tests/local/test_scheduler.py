"""Whatever arrives, the scheduler keeps within its limits and everything ends."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from ablate.engines.local.interfaces import Seq
from ablate.engines.local.scheduler import QueueScheduler
from ablate.testing.schedule import CountingStore
from ablate.types import Limits, Problem, Request


@settings(deadline=None, max_examples=100)
@given(
    st.lists(st.tuples(st.integers(1, 50), st.integers(1, 40)), min_size=1, max_size=12),
    st.integers(1, 6),
    st.integers(1, 60),
    st.integers(0, 4),
)
def test_limits_hold_and_all_end(
    sizes: list[tuple[int, int]], slots: int, budget: int, lookahead: int
) -> None:
    store = CountingStore()
    scheduler = QueueScheduler(store, Limits(slots, budget, 100, 0, lookahead))
    for i, (prompt, output) in enumerate(sizes):
        request = Request(str(i), Problem("p", "d", "", ""), 0, 0)
        scheduler.add(Seq(i, request, [0] * prompt, prompt, output, 0.0, 0.0))
    ended: set[int] = set()
    for _ in range(20_000):
        if len(ended) == len(sizes):
            break
        chunks = scheduler.schedule()
        scheduler.take_preempted()
        assert chunks, "work is left and none is scheduled"
        assert sum(c.n for c in chunks) <= budget
        assert scheduler.running <= slots
        for chunk in chunks:
            seq = chunk.seq
            done = chunk.completes
            seq.computed += chunk.n
            store.commit(seq, seq.computed)
            if done:
                seq.tokens.append(0)
                if len(seq.tokens) - seq.prompt_len == seq.max_tokens:
                    scheduler.finish(seq)
                    ended.add(seq.id)
        assert store.tokens <= store.capacity_tokens
    assert len(ended) == len(sizes)
    assert scheduler.running == scheduler.waiting == store.tokens == 0
