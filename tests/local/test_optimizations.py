"""The built-in optimizations on the in-process engine."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ablate.errors import TrialError
from ablate.plugins import Plugin
from ablate.testing import tiny_model
from ablate.types import Sampling
from ablate_draft import Draft
from ablate_kv_int8 import KvInt8
from ablate_kv_int8.codec import Int8
from ablate_prefix_cache import PrefixCache
from ablate_schedulers import ShortestFirst
from tests.local.serving import generated, open_session, prompts_of_many_lengths, serve

PROMPTS = prompts_of_many_lengths(16)
SHARED = ["the very same long beginning of every prompt, " * 3 + f"and {i}" for i in range(12)]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("target"))


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("draft"), seed=1)


def applied(session: object, name: str) -> dict[str, float]:
    state = session.evidence_state("measured")  # type: ignore[attr-defined]
    (evidence,) = session._context.plugins.evidence(state)  # type: ignore[attr-defined]
    assert evidence.plugin == name
    return dict(evidence.numbers)


@pytest.mark.parametrize("concurrency", [1, 8])
def test_a_perfect_draft_changes_nothing_and_is_accepted(
    checkpoint: Path, concurrency: int
) -> None:
    plugin = Draft(str(checkpoint), k=3)
    session = open_session(checkpoint, plugins={"draft": plugin})
    assert serve(session, PROMPTS, concurrency).texts() == generated(checkpoint, PROMPTS)
    assert applied(session, "draft")["draft_acceptance_rate"] > 0.99


def test_a_bad_draft_changes_nothing(checkpoint: Path, stranger: Path) -> None:
    session = open_session(checkpoint, plugins={"draft": Draft(str(stranger), k=4)})
    assert serve(session, PROMPTS).texts() == generated(checkpoint, PROMPTS)
    assert applied(session, "draft")["draft_acceptance_rate"] < 0.2


def test_a_draft_with_another_vocabulary_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    other = tiny_model(tmp_path, vocab_size=300)
    with pytest.raises(TrialError, match="share the model's tokenizer"):
        open_session(checkpoint, plugins={"draft": Draft(str(other))})


def test_prefix_cache_changes_nothing_and_hits_in_one_wave(checkpoint: Path) -> None:
    session = open_session(checkpoint, plugins={"prefix_cache": PrefixCache()}, concurrency=12)
    cold = serve(session, SHARED, 12)
    assert cold.texts() == generated(checkpoint, SHARED)
    hits = applied(session, "prefix_cache")["prefix_cache_hit_rate"]
    assert hits > 0.8
    assert sum(c.cached_tokens > 0 for c in cold.completions.values()) == len(SHARED) - 1
    assert serve(session, SHARED, 12).texts() == cold.texts()


def test_kv_int8_halves_the_cache_and_stays_close(checkpoint: Path) -> None:
    plain = open_session(checkpoint)
    session = open_session(checkpoint, plugins={"kv_int8": KvInt8()})
    full = serve(plain, PROMPTS)
    small = serve(session, PROMPTS)
    numbers = applied(session, "kv_int8")
    assert numbers["kv_bytes_per_token"] == pytest.approx(
        numbers["kv_bytes_per_token_full"] * 18 / 64
    )
    largest = [max((u.kv_allocated_bytes or 0) for u in s.usage) for s in (full, small)]
    assert largest[1] == largest[0] * 18 // 64
    same = sum(a[0] == b[0] for a, b in zip(full.texts(), small.texts(), strict=True))
    assert same > len(PROMPTS) // 2


def test_kv_int8_shares_blocks(checkpoint: Path) -> None:
    alone = open_session(checkpoint, plugins={"kv_int8": KvInt8()})
    plugins: dict[str, Plugin] = {"kv_int8": KvInt8(), "prefix_cache": PrefixCache()}
    both = open_session(checkpoint, plugins=plugins)
    # hits read quantized keys where a cold prompt's own chunk is quantized too: the same values
    assert serve(both, SHARED).texts() == serve(alone, SHARED).texts()
    proofs = both._context.plugins.evidence(both.evidence_state("measured"))
    assert [(p.plugin, p.applied) for p in proofs] == [("kv_int8", True), ("prefix_cache", True)]


@settings(deadline=None, max_examples=50)
@given(st.lists(st.floats(-1e4, 1e4, width=32), min_size=4, max_size=4))
def test_int8_error_is_half_a_step(values: list[float]) -> None:
    x = torch.tensor(values)
    codec = Int8()
    back = codec.decode(codec.encode(x), torch.float32)
    step = max(float(x.abs().max()) / 127, 2.0**-14)
    assert float((back - x).abs().max()) <= step * 0.57  # half a step, and float16's rounding of it


def test_shortest_first_admits_short_prompts_first(checkpoint: Path) -> None:
    prompts = ["long " * 30, "middle " * 10, "short"] * 2
    session = open_session(
        checkpoint, plugins={"shortest_first": ShortestFirst()}, max_num_seqs=1, concurrency=6
    )
    served = serve(session, prompts, 6)
    order = sorted(served.completions, key=lambda i: served.completions[i].finished)
    assert order == ["2", "5", "1", "4", "0", "3"]


def test_sampling_with_a_perfect_draft_accepts_everything(checkpoint: Path) -> None:
    sampling = Sampling(temperature=1.0, max_tokens=24)
    session = open_session(checkpoint, plugins={"draft": Draft(str(checkpoint))}, sampling=sampling)
    serve(session, PROMPTS)
    assert applied(session, "draft")["draft_acceptance_rate"] > 0.99
