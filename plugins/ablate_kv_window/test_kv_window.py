"""kv_window: the store, what each token sees, and what serving with it gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis.stateful import invariant, run_state_machine_as_test
from torch import Tensor

from ablate.engines.local.interfaces import KVStore
from ablate.plugins import Plugin
from ablate.testing import tiny_model
from ablate_kv_window import KvWindow
from ablate_kv_window.store import WindowStore
from ablate_ngram import Ngram
from tests.local.serving import generated, open_session, prompts_of_many_lengths, serve
from tests.local.test_store import LIMITS, model
from tests.local.views import ViewMachine, moves, take_back
from tests.local.written_out import masked, places, reference_answers

SINKS, WINDOW = 2, 9
PROMPTS = prompts_of_many_lengths(10)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("window"))


class WindowMachine(ViewMachine):
    sinks, window = 2, 3

    def make(self) -> KVStore:
        return WindowStore(model(), LIMITS, self.sinks, self.window)

    def expected(self, truth: Tensor, position: int) -> dict[int, Tensor]:
        seen = [p for p in range(position + 1) if p < self.sinks or p > position - self.window]
        return {p: truth[:, p] for p in seen}

    @invariant()
    def counts_agree(self) -> None:
        held = sum(min(n, self.sinks + self.window) for n in self.kept.values())
        assert self.store.tokens == held
        assert self.store.allocated_bytes >= self.store.used_bytes


class NoSinks(WindowMachine):
    sinks, window = 0, 4


@pytest.mark.parametrize("machine", [WindowMachine, NoSinks])
def test_each_token_sees_its_own_window(machine: type[ViewMachine]) -> None:
    run_state_machine_as_test(
        machine, settings=settings(max_examples=8, stateful_step_count=25, deadline=None)
    )


@pytest.mark.parametrize("machine", [WindowMachine, NoSinks])
@settings(max_examples=15, deadline=None)
@given(steps=moves)
def test_committed_tokens_may_be_taken_back(
    machine: type[ViewMachine], steps: list[tuple[int, int]]
) -> None:
    take_back(machine(), steps)


def windowed(layer: int, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    here, there = places(query.shape[2])
    seen = (there <= here) & ((there < SINKS) | (there > here - WINDOW))
    return masked(query, key, value, seen)


@pytest.fixture(scope="module")
def expected(checkpoint: Path) -> list[str]:
    return reference_answers(checkpoint, PROMPTS, lambda: windowed)


TOKEN_BYTES = 2 * 2 * 2 * 16 * 4  # keys and values, layers, KV heads, head size, float32


@pytest.mark.parametrize(
    ("more", "options"),
    [
        ({}, {}),
        ({}, {"concurrency": 1}),
        ({}, {"max_num_batched_tokens": 7}),
        ({"ngram": Ngram(k=4, min_n=1)}, {}),
        ({}, {"kv_cache_gib": 26 * TOKEN_BYTES / 2**30}),
    ],
    ids=["together", "alone", "in pieces", "drafts taken back", "short of memory"],
)
def test_serving_is_attention_with_that_mask(
    checkpoint: Path, expected: list[str], more: dict[str, Plugin], options: dict[str, Any]
) -> None:
    plugins: dict[str, Plugin] = {"kv_window": KvWindow(SINKS, WINDOW), **more}
    session = open_session(checkpoint, plugins=plugins, **options)
    served = serve(session, PROMPTS, options.get("concurrency", 8))
    assert served.texts() == expected != generated(checkpoint, PROMPTS)
    assert max(u.kv_tokens or 0 for u in served.usage) <= 8 * (SINKS + WINDOW)


def test_without_sinks_it_is_the_window_that_mistral_has(tmp_path: Path) -> None:
    own = tiny_model(tmp_path / "own", "mistral", sliding_window=8)
    plain = tiny_model(tmp_path / "plain", "mistral")
    session = open_session(plain, plugins={"kv_window": KvWindow(sinks=0, window=8)})
    assert serve(session, PROMPTS).texts() == generated(own, PROMPTS)


def test_short_sequences_are_no_evidence(checkpoint: Path) -> None:
    session = open_session(checkpoint, plugins={"kv_window": KvWindow()})
    serve(session, ["short"])
    assert KvWindow().ablate_evidence(session.evidence_state("warmup")).applied is None
    shown = KvWindow().ablate_evidence(session.evidence_state("measured"))
    assert (shown.applied, shown.detail) == (
        False,
        "no sequence had more than 256 tokens, so none was evicted",
    )


@pytest.mark.parametrize(("sinks", "window"), [(-1, 4), (4, 0)])
def test_bad_options(sinks: int, window: int) -> None:
    with pytest.raises(ValueError, match="sinks must be at least 0 and window at least 1"):
        KvWindow(sinks, window)
