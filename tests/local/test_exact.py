"""Greedy fp32 output of the engine equals ``generate()``, whatever the batch looks like."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ablate.domains.arithmetic import Arithmetic
from ablate.domains.logic import Logic
from ablate.engines.local.interfaces import KVStore
from ablate.models import ModelConfig, resolve_model
from ablate.plugins import Plugin, hookimpl
from ablate.testing import tiny_model
from ablate.testing.models import ARCHITECTURES
from ablate.types import Limits, Sampling
from ablate_draft import Draft
from tests.local.serving import generated, open_session, prompts_of_many_lengths, serve
from tests.testing.placing import Reordered

PROMPTS = prompts_of_many_lengths(24)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("llama"))


@pytest.mark.parametrize("concurrency", [1, 4, 32])
def test_equals_generate_at_any_concurrency(checkpoint: Path, concurrency: int) -> None:
    session = open_session(checkpoint, concurrency=concurrency)
    served = serve(session, PROMPTS, concurrency)
    assert served.texts() == generated(checkpoint, PROMPTS)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_equals_generate_for_architectures(tmp_path: Path, architecture: str) -> None:
    path = tiny_model(tmp_path, architecture)
    assert serve(open_session(path), PROMPTS).texts() == generated(path, PROMPTS)


def test_sliding_window_is_respected(tmp_path: Path) -> None:
    path = tiny_model(tmp_path, "mistral", sliding_window=16)
    assert serve(open_session(path), PROMPTS).texts() == generated(path, PROMPTS)


def test_chunked_prefill_changes_nothing(checkpoint: Path) -> None:
    session = open_session(checkpoint, max_num_batched_tokens=7)
    assert serve(session, PROMPTS).texts() == generated(checkpoint, PROMPTS)


def test_preemption_changes_nothing(checkpoint: Path) -> None:
    token_bytes = 2 * 2 * 2 * 16 * 4  # keys and values, layers, KV heads, head size, float32
    session = open_session(checkpoint, kv_cache_gib=200 * token_bytes / 2**30)
    served = serve(session, PROMPTS)
    preemptions = session.evidence_state("measured").counters["num_preemptions"]
    assert sum(c.preemptions for c in served.completions.values()) == preemptions > 0
    assert served.texts() == generated(checkpoint, PROMPTS)
    assert max((u.kv_tokens or 0) for u in served.usage) <= 200


@pytest.mark.parametrize("plugins", [{}, {"draft": Draft("tiny-draft")}], ids=["plain", "draft"])
def test_the_shipped_model_reasons_as_with_generate(plugins: dict[str, Plugin]) -> None:
    path = Path(resolve_model(ModelConfig("tiny-reasoner")).path)
    problems = [*Arithmetic(limit=8).problems(), *Logic(limit=8).problems()]
    prompts = [p.prompt for p in problems]
    session = open_session(path, plugins=plugins, sampling=Sampling(max_tokens=320))
    assert serve(session, prompts).texts() == generated(path, prompts, max_new_tokens=320)


def test_a_second_load_is_independent_of_the_first(checkpoint: Path) -> None:
    session = open_session(checkpoint)
    first = serve(session, PROMPTS).texts()
    assert serve(session, PROMPTS).texts() == first


def test_the_peak_of_kv_use_is_seen(checkpoint: Path) -> None:
    session = open_session(checkpoint, sampling=Sampling(max_tokens=1))
    served = serve(session, ["a prompt of some length"])
    (completion,) = served.completions.values()
    assert max((u.kv_tokens or 0) for u in served.usage) == completion.prompt_tokens


@dataclass(frozen=True)
class ReorderedCache(Plugin):
    """Supplies a store that says where each entry is."""

    @hookimpl
    def ablate_setup_cache(self, model: Any, limits: Limits) -> KVStore:
        return Reordered(model, limits)


@pytest.mark.parametrize("tokens_a_step", [512, 7])
@pytest.mark.parametrize("architecture", ["llama", "mistral"])
def test_a_store_may_give_its_entries_in_any_order(
    tmp_path: Path, architecture: str, tokens_a_step: int
) -> None:
    window = {"sliding_window": 16} if architecture == "mistral" else {}
    path = tiny_model(tmp_path, architecture, **window)
    arm: dict[str, Plugin] = {"reordered": ReorderedCache()}
    session = open_session(path, plugins=arm, max_num_batched_tokens=tokens_a_step)
    assert serve(session, PROMPTS).texts() == generated(path, PROMPTS)
