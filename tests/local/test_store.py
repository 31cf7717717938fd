"""KV stores against a plain list of vectors, under any order of use."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from ablate.engines.local import growing
from ablate.engines.local.batch import Batch, Span
from ablate.engines.local.interfaces import KVStore, Seq
from ablate.engines.local.slots import SlotStore
from ablate.types import Limits, Problem, Request
from ablate_kv_int8.codec import Int8
from ablate_prefix_cache.store import PrefixStore

LAYERS, HEADS, SIZE = 2, 2, 4
LIMITS = Limits(8, 64, 64, 1 << 20)


def model(dtype: torch.dtype = torch.float32) -> SimpleNamespace:
    config = SimpleNamespace(
        num_hidden_layers=LAYERS, num_attention_heads=4, num_key_value_heads=HEADS, head_dim=SIZE
    )
    config.get_text_config = lambda: config
    return SimpleNamespace(config=config, dtype=dtype, device=torch.device("cpu"))


def vector(token: int, position: int, layer: int) -> torch.Tensor:
    """What a model would compute for a token: a function of token, position and layer."""
    base = torch.arange(HEADS * SIZE, dtype=torch.float32).view(HEADS, SIZE)
    return torch.sin(base + 13 * token + 7 * position + 3 * layer)


class StoreMachine(RuleBasedStateMachine):
    """Admits, extends by several rows at once, rolls back and frees sequences."""

    tolerance = 0.0
    dtype = torch.float32

    def make(self) -> KVStore:
        return SlotStore(model(), LIMITS)

    def __init__(self) -> None:
        super().__init__()
        self.store = self.make()
        self.seqs: dict[int, Seq] = {}
        self.kept: dict[int, int] = {}
        self.next_id = 0

    @precondition(lambda self: len(self.seqs) < 8)
    @rule(prompt=st.lists(st.integers(0, 1), min_size=2, max_size=12))
    def admit(self, prompt: list[int]) -> None:
        request = Request("r", Problem("p", "d", "", ""), 0, 0)
        seq = Seq(self.next_id, request, list(prompt), len(prompt), 100, 0.0, 0.0)
        self.next_id += 1
        self.kept[seq.id] = self.store.add(seq)
        assert self.kept[seq.id] < len(prompt)
        self.seqs[seq.id] = seq

    @precondition(lambda self: self.seqs)
    @rule(data=st.data())
    def step(self, data: st.DataObject) -> None:
        chosen = data.draw(st.lists(st.sampled_from(sorted(self.seqs)), min_size=1, unique=True))
        spans, keeps = [], {}
        for seq_id in chosen:
            seq, start = self.seqs[seq_id], self.kept[seq_id]
            n = data.draw(st.integers(1, 5))
            while len(seq.tokens) < start + n:
                seq.tokens.append(len(seq.tokens) % 3)
            spans.append(Span(seq_id, seq.tokens[start : start + n], start, keep=0))
            keeps[seq_id] = start + data.draw(st.integers(0, n))
        self.run_batch(Batch(spans, self.store.order, torch.device("cpu")))
        for seq_id, length in keeps.items():
            self.store.commit(self.seqs[seq_id], length)
            self.kept[seq_id] = length

    def run_batch(self, batch: Batch) -> None:
        self.store.begin(batch)
        for layer in range(LAYERS):
            places = [(t, s.start + i) for s in batch.spans for i, t in enumerate(s.tokens)]
            new = torch.stack([vector(t, p, layer) for t, p in places]).to(self.dtype)
            self.store.append(layer, new, -new)
            for group in batch.groups:
                keys, values = self.store.read(layer, group)
                assert torch.stack((keys, values)).isfinite().all()
                for row, span in enumerate(group.spans):
                    self.check_row(keys[row], values[row], span, layer)

    def check_row(self, keys: torch.Tensor, values: torch.Tensor, span: Span, layer: int) -> None:
        tokens = [*self.seqs[span.seq_id].tokens[: span.start], *span.tokens]
        expected = torch.stack([vector(t, p, layer) for p, t in enumerate(tokens)], dim=1)
        for got, truth in ((keys, expected), (values, -expected)):
            got = got[:, : len(tokens)].float()
            torch.testing.assert_close(got, truth, atol=self.tolerance, rtol=0)

    @precondition(lambda self: self.seqs)
    @rule(data=st.data())
    def free(self, data: st.DataObject) -> None:
        seq_id = data.draw(st.sampled_from(sorted(self.seqs)))
        self.store.free(seq_id)
        del self.seqs[seq_id], self.kept[seq_id]

    @invariant()
    def counts_agree(self) -> None:
        assert self.store.tokens == sum(self.kept.values())
        assert all(self.store.length(i) == n for i, n in self.kept.items())
        assert self.store.allocated_bytes >= self.store.used_bytes


class Int8Machine(StoreMachine):
    tolerance = 1 / 127

    def make(self) -> KVStore:
        return SlotStore(model(), LIMITS, Int8())


class CoarseMachine(StoreMachine):
    """Here memory follows the longest sequence down, too."""

    tolerance, dtype = 1 / 256, torch.bfloat16

    def make(self) -> KVStore:
        return SlotStore(model(self.dtype), LIMITS)

    @invariant()
    def what_nobody_uses_is_given_back(self) -> None:
        if not self.seqs:
            assert self.store.allocated_bytes == 0


class PrefixMachine(StoreMachine):
    """Tokens are few, so prompts often share blocks of two."""

    def make(self) -> KVStore:
        return PrefixStore(SlotStore(model(), LIMITS), block_size=2)


@pytest.mark.parametrize("machine", [StoreMachine, CoarseMachine, Int8Machine, PrefixMachine])
@pytest.mark.parametrize("positions", [growing.POSITIONS, 4])  # 4: memory grows and shrinks often
def test_store_is_a_list_of_vectors(
    machine: type[StoreMachine], positions: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(growing, "POSITIONS", positions)
    run_state_machine_as_test(
        machine, settings=settings(max_examples=25, stateful_step_count=25, deadline=None)
    )
