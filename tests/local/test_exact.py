"""Greedy fp32 output of the engine equals ``generate()``, whatever the batch looks like.

Tokens are compared, not texts, which show half of a random model's tokens as the same sign.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from ablate.domains.arithmetic import Arithmetic
from ablate.domains.logic import Logic
from ablate.engines.local.interfaces import KVStore
from ablate.models import ModelConfig, resolve_model
from ablate.plugins import Plugin, hookimpl
from ablate.types import Limits, Sampling
from ablate_draft import Draft
from ablate_ngram import Ngram
from ablate_prefix_cache import PrefixCache
from ablate_schedulers import ShortestFirst
from tests.local.conftest import Make
from tests.local.reference import NEW_TOKENS, PROMPTS, SHAPES, reference
from tests.local.serving import generated, open_session, serve
from tests.local.watched import Watched
from tests.testing.placing import Reordered

LONGEST = max(map(len, PROMPTS)) + NEW_TOKENS
TIGHT = 4 * LONGEST  # tokens of KV memory
BUDGET = {"draft": 14 * LONGEST, "ngram": 7 * LONGEST}  # half of it is a draft model's


shapes = pytest.mark.parametrize("shape", SHAPES)


def accepted_and_not(counted: Mapping[str, float]) -> None:
    drafted, accepted = counted["spec_num_draft_tokens"], counted["spec_num_accepted_tokens"]
    assert 0 < accepted < drafted


@shapes
def test_answers_differ_end_and_are_sure(checkpoint: Make, shape: str) -> None:
    known = reference(checkpoint(shape))
    assert len(PROMPTS) == 64
    assert len(set(known.tokens)) > 60
    assert median(len(set(answer)) for answer in known.tokens) > NEW_TOKENS / 2
    assert sum(len(answer) < NEW_TOKENS for answer in known.tokens) > 0
    assert known.margin > 1e-4


@shapes
@pytest.mark.parametrize("concurrency", [4, 32])
def test_together(checkpoint: Make, shape: str, concurrency: int) -> None:
    path = checkpoint(shape)
    assert Watched(path, concurrency=concurrency).serve() == reference(path).tokens


@pytest.mark.parametrize(
    "shape", [s if s == "llama" else pytest.param(s, marks=pytest.mark.slow) for s in SHAPES]
)
def test_alone(checkpoint: Make, shape: str) -> None:
    path = checkpoint(shape)
    assert Watched(path, concurrency=1).serve() == reference(path).tokens


@shapes
@pytest.mark.parametrize("tokens_a_step", [1, 7, 45])
def test_prompts_in_chunks(checkpoint: Make, shape: str, tokens_a_step: int) -> None:
    path, n = checkpoint(shape), min(64, 4 * tokens_a_step)
    session = Watched(path, max_num_batched_tokens=tokens_a_step)
    assert session.serve(PROMPTS[-n:]) == reference(path).tokens[-n:]


@shapes
def test_preempted(checkpoint: Make, shape: str) -> None:
    path = checkpoint(shape)
    session = Watched(path, budget=TIGHT)
    assert session.serve() == reference(path).tokens
    assert session.counted["num_preemptions"] > 0


@shapes
def test_prefixes_cold_warm_and_evicted(checkpoint: Make, shape: str) -> None:
    path = checkpoint(shape)
    session = Watched(path, {"prefix_cache": PrefixCache(block_size=8)})
    cold, hits = session.serve(), session.counted["prefix_cache_hits"]
    assert hits > 0
    # the cache is emptied between loads, so warm is what a load asks for a second time
    twice, more = session.serve([*PROMPTS, *PROMPTS]), session.counted["prefix_cache_hits"]
    assert more > 3 * hits
    assert session.counted["prefix_cache_evictions"] == 0
    warm = twice[: len(PROMPTS)]
    assert twice[len(PROMPTS) :] == warm
    plugins = {"prefix_cache": PrefixCache(block_size=8)}
    session = Watched(path, plugins, budget=11 * LONGEST, concurrency=8)
    evicted = [session.serve() for _ in range(2)]
    assert session.counted["prefix_cache_hits"] > 0
    assert session.counted["prefix_cache_evictions"] > 0
    assert {cold, warm, *evicted} == {reference(path).tokens}


@shapes
def test_ngram_drafts(checkpoint: Make, shape: str) -> None:
    path = checkpoint(shape)
    session = Watched(path, {"ngram": Ngram(k=4, min_n=1)})
    assert session.serve() == reference(path).tokens
    accepted_and_not(session.counted)


@shapes
def test_a_models_drafts(checkpoint: Make, near: Make, shape: str) -> None:
    path = checkpoint(shape)
    session = Watched(path, {"draft": Draft(str(near(shape)), k=3)})
    assert session.serve() == reference(path).tokens
    accepted_and_not(session.counted)


@shapes
@pytest.mark.parametrize("drafter", ["draft", "ngram"])
def test_all_at_once(checkpoint: Make, near: Make, shape: str, drafter: str) -> None:
    path = checkpoint(shape)
    draft = Draft(str(near(shape)), k=2) if drafter == "draft" else Ngram(k=3, min_n=1)
    plugins: dict[str, Plugin] = {
        drafter: draft,
        "prefix_cache": PrefixCache(block_size=8),
        "shortest_first": ShortestFirst(),
    }
    session = Watched(
        path, plugins, budget=BUDGET[drafter], max_num_batched_tokens=33, concurrency=8
    )
    for _ in range(2):
        assert session.serve() == reference(path).tokens
        accepted_and_not(session.counted)
        assert session.counted["num_preemptions"] > 0
        assert session.counted["prefix_cache_hits"] > 0
        assert session.counted["prefix_cache_evictions"] > 0


@dataclass(frozen=True)
class ReorderedCache(Plugin):
    """Supplies a store that says where each entry is."""

    @hookimpl
    def ablate_setup_cache(self, model: Any, limits: Limits) -> KVStore:
        return Reordered(model, limits)


@pytest.mark.parametrize("shape", ["llama", "qwen2-windows", "mistral"])
def test_a_store_may_give_its_entries_in_any_order(checkpoint: Make, shape: str) -> None:
    path, arm = checkpoint(shape), {"reordered": ReorderedCache()}
    assert Watched(path, arm, max_num_batched_tokens=45).serve() == reference(path).tokens


@pytest.mark.parametrize("plugins", [{}, {"draft": Draft("tiny-draft")}], ids=["plain", "draft"])
def test_the_shipped_model_reasons_as_with_generate(plugins: dict[str, Plugin]) -> None:
    path = Path(resolve_model(ModelConfig("tiny-reasoner")).path)
    problems = [*Arithmetic(limit=8).problems(), *Logic(limit=8).problems()]
    prompts = [p.prompt for p in problems]
    session = open_session(path, plugins=plugins, sampling=Sampling(max_tokens=320))
    assert serve(session, prompts).texts() == generated(path, prompts, max_new_tokens=320)
