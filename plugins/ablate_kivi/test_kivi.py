"""kivi: codes and bytes, the store, what each token sees, and what serving with it gives."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, run_state_machine_as_test
from torch import Tensor

from ablate.engines.local.batch import Batch, Span
from ablate.engines.local.interfaces import KVStore
from ablate.engines.local.slots import CacheShape, SlotStore
from ablate.errors import TrialError
from ablate.plugins import Plugin
from ablate.testing import tiny_model
from ablate.testing.cache.bench import sequence
from ablate.types import Limits
from ablate_kivi import Kivi
from ablate_kivi.form import Form
from ablate_kivi.rounding import packed, rounded, unpack
from ablate_kivi.store import KiviStore
from ablate_ngram import Ngram
from tests.local.serving import generated, open_session, prompts_of_many_lengths, serve
from tests.local.test_store import LIMITS, model
from tests.local.views import ViewMachine, moves, take_back
from tests.local.written_out import places, reference_answers

GROUP, RESIDUAL = 8, 11
PROMPTS = prompts_of_many_lengths(10)


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from([2, 4]),
    st.lists(st.floats(-1e4, 1e4, width=32), min_size=8, max_size=8),
)
def test_no_number_moves_by_more_than_half_a_step(bits: int, values: list[float]) -> None:
    x = torch.tensor(values)
    codes, zero, step = rounded(x, 0, bits)
    back = zero.float() + step.float() * codes
    # float16 rounds the zero point and the step; codes make up for it but at the ends
    ends = (zero.float().abs() + x.max() - x.min()) * 2.0**-11
    assert float((back - x).abs().max()) <= float(step) / 2 + float(ends) + 1e-4


@pytest.mark.parametrize("bits", [2, 4])
def test_codes_are_packed_into_bytes(bits: int) -> None:
    codes = torch.randint(0, 1 << bits, (3, 5, 16), dtype=torch.uint8)
    together = packed(codes, bits)
    assert together.shape == (3, 5, 16 * bits // 8)
    back = torch.empty(codes.shape)
    unpack(together, bits, back)
    assert torch.equal(back, codes.float())


def test_numbers_beyond_float16_stay_finite() -> None:
    codes, zero, step = rounded(torch.tensor([-1e30, 0.0, 1e30]), 0, 4)
    assert torch.isfinite(zero.float() + step.float() * codes).all()


class KiviMachine(ViewMachine):
    bits, residual = 4, 3

    def form(self) -> Form:
        return Form(self.bits, 8, 4)

    def make(self) -> KVStore:
        return KiviStore(model(), LIMITS, self.form(), self.residual)

    def expected(self, truth: Tensor, position: int) -> dict[int, Tensor]:
        n = max(position + 1 - self.residual, 0) // 8 * 8
        few = twice_rounded(self.form(), *truth[:, :n]) if n else truth[:, :0]
        whole = torch.cat([few, truth[:, n : position + 1]], dim=1)
        return dict(enumerate(whole.unbind(1)))

    @invariant()
    def counts_agree(self) -> None:
        assert self.store.tokens == sum(self.kept.values())
        assert self.store.tokens * self.store.bytes_per_token <= self.store.used_bytes
        assert self.store.used_bytes <= self.store.allocated_bytes


class TwoBits(KiviMachine):
    bits, residual = 2, 12


def twice_rounded(form: Form, keys: Tensor, values: Tensor) -> Tensor:
    """Keys and values ``[T, G, D]``, whole groups, as they come back: ``[2, T, G, D]``."""
    planes = (*form.keys(keys.contiguous()), *form.values(values.contiguous()))
    codes, steps, value_codes, value_steps = (plane.transpose(0, 1)[None] for plane in planes)
    back = keys.new_empty((2, 1, keys.shape[1], keys.shape[0], keys.shape[2]))
    form.keys_back(codes, steps, back[0])
    form.values_back(value_codes, value_steps, back[1])
    return back[:, 0].transpose(1, 2)


@pytest.mark.parametrize("machine", [KiviMachine, TwoBits])
def test_each_token_sees_the_newest_whole_and_older_ones_rounded(
    machine: type[ViewMachine],
) -> None:
    run_state_machine_as_test(
        machine, settings=settings(max_examples=8, stateful_step_count=25, deadline=None)
    )


@pytest.mark.parametrize("machine", [KiviMachine, TwoBits])
@settings(max_examples=15, deadline=None)
@given(steps=moves)
def test_committed_tokens_may_be_taken_back(
    machine: type[ViewMachine], steps: list[tuple[int, int]]
) -> None:
    take_back(machine(), steps)


class Rounded:
    """Attention that reads each token before a boundary rounded and the others as they are."""

    def __init__(self, form: Form, residual: int) -> None:
        self._form, self._residual = form, residual

    def __call__(self, layer: int, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        here, there = places(query.shape[2])
        before = (here + 1 - self._residual).clamp_min(0) // self._form.group * self._form.group
        n, few = int(before.max()), there < before
        whole = torch.stack([key, value])
        small = whole.clone()
        if n:
            kept = whole[:, :, :n].transpose(1, 2)
            small[:, :, :n] = twice_rounded(self._form, *kept).transpose(1, 2)
        rounded_scores, scores = (query @ x[0][:, None].transpose(2, 3) for x in (small, whole))
        mixed = torch.where(few, rounded_scores, scores).masked_fill(there > here, -torch.inf)
        weights = mixed.softmax(-1)
        out = (weights * few) @ small[1][:, None] + (weights * ~few) @ whole[1][:, None]
        return torch.as_tensor(out)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("kivi"))


@pytest.fixture(scope="module")
def expected(checkpoint: Path) -> list[str]:
    form = Form(4, GROUP, GROUP)
    return reference_answers(checkpoint, PROMPTS, lambda: Rounded(form, RESIDUAL))


@pytest.mark.parametrize(
    ("more", "options"),
    [
        ({}, {}),
        ({}, {"concurrency": 1}),
        ({}, {"max_num_batched_tokens": 7}),
        ({"ngram": Ngram(k=4, min_n=1)}, {}),
        ({}, {"kv_cache_gib": 50_000 / 2**30}),
    ],
    ids=["together", "alone", "in pieces", "drafts taken back", "short of memory"],
)
def test_serving_is_attention_over_rounded_keys_and_values(
    checkpoint: Path, expected: list[str], more: dict[str, Plugin], options: dict[str, Any]
) -> None:
    plugin = Kivi(bits=4, group_size=GROUP, residual=RESIDUAL)
    session = open_session(checkpoint, plugins={"kivi": plugin, **more}, **options)
    served = serve(session, PROMPTS, options.get("concurrency", 8))
    assert served.texts() == expected != generated(checkpoint, PROMPTS)
    budget = round(options.get("kv_cache_gib", 1.0) * 2**30)
    assert max(u.kv_bytes or 0 for u in served.usage) <= budget
    preempted = session.evidence_state("measured").counters["num_preemptions"]
    assert bool(preempted) == ("kv_cache_gib" in options)


def realistic(kv_heads: int = 3) -> Any:
    """The shape of SmolLM2-135M, with fewer layers."""
    config = SimpleNamespace(
        num_hidden_layers=2, num_attention_heads=9, num_key_value_heads=kv_heads, head_dim=64
    )
    config.get_text_config = lambda: config
    return SimpleNamespace(config=config, dtype=torch.bfloat16, device=torch.device("cpu"))


def filled(store: KVStore, tokens: int, chunk: int = 512) -> KVStore:
    """With one sequence of that many tokens."""
    shape = CacheShape.of(realistic())
    seq = sequence(0, [0] * tokens)
    store.add(seq)
    for start in range(0, tokens, chunk):
        size = min(chunk, tokens - start)
        batch = Batch([Span(0, [0] * size, start, 0)], store.order, shape.device)
        store.begin(batch)
        for layer in range(shape.layers):
            new = torch.randn(2, size, shape.kv_heads, shape.head_dim, dtype=shape.dtype)
            store.append(layer, *new)
        store.commit(seq, start + size)
    return store


@pytest.mark.parametrize(("bits", "most"), [(4, 0.32), (2, 0.20)])
def test_a_long_context_takes_a_third_of_the_memory_or_less(bits: int, most: float) -> None:
    tokens = 16_384
    limits = Limits(1, 512, tokens, 1 << 30)
    shape = CacheShape.of(realistic())
    plain = filled(SlotStore(realistic(), limits), tokens, chunk=8192)
    small = filled(
        KiviStore(realistic(), limits, Form.of(shape, bits, 32), 128), tokens, chunk=8192
    )
    assert small.tokens == tokens
    assert small.used_bytes <= most * plain.used_bytes
    assert small.allocated_bytes <= most * plain.allocated_bytes


def test_heads_that_no_group_fits_are_refused() -> None:
    shape = CacheShape.of(realistic())
    with pytest.raises(TrialError, match=r"heads have 64 channels.*groups of 48; set kivi\.group"):
        Form.of(shape, 4, 48)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"bits": 3}, "bits must be 2 or 4, not 3"),
        ({"group_size": 4}, "group_size must be at least 8, not 4"),
        ({"residual": 0}, "residual must be at least 1, not 0"),
    ],
)
def test_bad_options(options: dict[str, int], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Kivi(**options)


def test_short_sequences_are_no_evidence(checkpoint: Path) -> None:
    session = open_session(checkpoint, plugins={"kivi": Kivi()})
    serve(session, ["short"])
    assert Kivi().ablate_evidence(session.evidence_state("warmup")).applied is None
    shown = Kivi().ablate_evidence(session.evidence_state("measured"))
    assert shown.applied is False
    assert shown.detail.startswith("0 of ")
