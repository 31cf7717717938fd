"""Whatever is served, keys and values keep within the memory given, and everything ends."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ablate.engines.local.batch import Batch, Span
from ablate.engines.local.interfaces import Chunk, KVStore, Seq
from ablate.engines.local.scheduler import QueueScheduler
from ablate.engines.local.slots import SlotStore
from ablate.types import Limits, Problem, Request
from ablate_kivi.form import Form
from ablate_kivi.store import KiviStore
from ablate_kv_int8.codec import Int8
from ablate_kv_window.store import WindowStore
from ablate_prefix_cache.store import PrefixStore
from tests.local.test_store import HEADS, LAYERS, SIZE, model

LONGEST = 150
CPU = torch.device("cpu")
# keys of each token at each position, [layers, token, position, heads, size]; values are -keys
COMPUTED = torch.randn(
    (LAYERS, 2, LONGEST, HEADS, SIZE), generator=torch.Generator().manual_seed(0)
)


@dataclass(frozen=True)
class Case:
    """A load and what it is served with. ``budget``: tokens; ``aside``: a drafter's share."""

    sizes: list[tuple[int, int]]
    slots: int
    tokens_a_step: int
    budget: int
    lookahead: int
    aside: float
    store: str
    seed: int


cases = st.builds(
    Case,
    sizes=st.lists(st.tuples(st.integers(1, 120), st.integers(1, 25)), min_size=1, max_size=10),
    slots=st.integers(1, 8),
    tokens_a_step=st.integers(1, 200),
    budget=st.integers(2 * LONGEST, 6 * LONGEST),
    lookahead=st.integers(0, 4),
    aside=st.sampled_from([0.0, 0.5, 1.0]),
    store=st.sampled_from(["plain", "int8", "prefix", "kivi", "window"]),
    seed=st.integers(0, 9),
)


def make_store(case: Case, budget: int) -> KVStore:
    limits = Limits(case.slots, case.tokens_a_step, LONGEST, budget)
    if case.store == "kivi":
        return KiviStore(model(), limits, Form(4, 8, 4), residual=8)
    if case.store == "window":
        return WindowStore(model(), limits, sinks=2, window=9)
    inner = SlotStore(model(), limits, Int8() if case.store == "int8" else None)
    return PrefixStore(inner, 4) if case.store == "prefix" else inner


class Load:
    """Serves a load without a model: drafts are kept or not by chance."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.rng = Random(case.seed)
        per_token = make_store(case, 1).bytes_per_token
        self.budget = round(case.budget * per_token)
        self.store = make_store(case, self.budget)
        self.store.set_aside(case.aside * per_token)
        self.store.set_lookahead(case.lookahead)
        limits = Limits(case.slots, case.tokens_a_step, LONGEST, self.budget, case.lookahead)
        self.scheduler = QueueScheduler(self.store, limits)
        self.left = len(case.sizes)
        for i, (prompt, output) in enumerate(case.sizes):
            request = Request(str(i), Problem("p", "d", "", ""), 0, 0)
            shared = [0] * (prompt // 2)  # beginnings that a prefix cache finds again
            tokens = [*shared, *self.tokens(prompt - len(shared))]
            self.scheduler.add(Seq(i, request, tokens, prompt, output, 0.0, 0.0))

    @property
    def possible(self) -> bool:
        """Whether the longest request fits alone."""
        longest = max(prompt + output for prompt, output in self.case.sizes)
        return self.store.fits([longest + self.case.lookahead])

    def serve(self) -> None:
        for _ in range(5000):
            if not self.left:
                break
            chunks = self.scheduler.schedule()
            self.scheduler.take_preempted()
            assert chunks, "work is left and none is scheduled"
            self.step(chunks)
        assert self.left == 0
        assert self.scheduler.running == self.scheduler.waiting == self.store.tokens == 0

    def step(self, chunks: list[Chunk]) -> None:
        drafts = {c.seq.id: self.drafted(c) for c in chunks}
        batch = Batch([span(c, drafts[c.seq.id]) for c in chunks], self.store.order, CPU)
        self.store.begin(batch)
        self.within_the_budget()
        for layer in range(LAYERS):
            computed = COMPUTED[layer][batch.input_ids[0], batch.positions[0]]
            self.store.append(layer, computed, -computed)
        for chunk in chunks:
            self.commit(chunk, drafts[chunk.seq.id])
        self.within_the_budget()
        for seq in [c.seq for c in chunks if not c.seq.remaining]:
            self.holds_what_was_computed(seq)
            self.scheduler.finish(seq)
            self.left -= 1

    def tokens(self, n: int) -> list[int]:
        return [self.rng.randrange(2) for _ in range(n)]

    def drafted(self, chunk: Chunk) -> list[int]:
        most = min(self.case.lookahead, chunk.seq.remaining - 1)
        drafts = chunk.completes and chunk.n == 1
        return self.tokens(self.rng.randint(0, most)) if drafts else []

    def commit(self, chunk: Chunk, drafts: list[int]) -> None:
        seq, kept = chunk.seq, self.rng.randint(0, len(drafts))
        new = [*drafts[:kept], *self.tokens(1)] if chunk.completes else []
        seq.computed += chunk.n + kept
        seq.tokens.extend(new)
        self.store.commit(seq, seq.computed)

    def holds_what_was_computed(self, seq: Seq) -> None:
        if self.case.store in ("plain", "prefix"):
            (both,) = self.store.export(seq.id, 0, seq.computed)  # keys, values, layer by layer
            keys, values = both[0::2], both[1::2]
            known = COMPUTED[:, seq.tokens[: seq.computed], range(seq.computed)].transpose(1, 2)
            assert torch.equal(keys, known)
            assert torch.equal(values, -known)

    def within_the_budget(self) -> None:
        """With a drafter beside, that held as much of each sequence in slots of its own."""
        assert self.store.used_bytes <= self.store.allocated_bytes
        assert self.store.allocated_bytes <= self.budget / (1 + self.case.aside)
        assert self.store.tokens <= self.store.room_tokens


def span(chunk: Chunk, drafts: list[int]) -> Span:
    seq = chunk.seq
    known = seq.tokens[seq.computed : seq.computed + chunk.n]
    return Span(seq.id, [*known, *drafts], seq.computed, keep=1)


@settings(max_examples=150)
@given(cases)
def test_a_load_keeps_within_its_memory_and_ends(case: Case) -> None:
    load = Load(case)
    assume(load.possible)  # a session refuses the others before it serves any
    load.serve()
