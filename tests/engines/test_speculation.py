"""The plugins that draft tokens, on engines that own their loop."""

from __future__ import annotations

from typing import Any

import pytest

from ablate.models import HERE
from ablate.plugins import Plugin
from ablate_draft import Draft
from ablate_eagle3 import Eagle3
from ablate_mtp import Mtp
from ablate_ngram import Ngram
from tests.engines.serving import BACKENDS, arguments, conflicts, state

DRAFTS = {"spec_num_drafts": 10.0, "spec_num_draft_tokens": 40.0, "spec_num_accepted_tokens": 15.0}
DRAFT_PATH = str(HERE / "tiny-draft")
CHAIN = {
    "speculative_num_steps": 3,
    "speculative_eagle_topk": 1,
    "speculative_num_draft_tokens": 4,
}
EVERY: dict[str, Plugin] = {
    "draft": Draft("tiny-draft", k=3),
    "ngram": Ngram(k=3),
    "eagle3": Eagle3("some/head", k=3),
    "mtp": Mtp(k=3),
}


def speculative(method: str, **more: Any) -> dict[str, Any]:
    return {"speculative_config": {"method": method, "num_speculative_tokens": 3, **more}}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("draft", speculative("draft_model", model=DRAFT_PATH)),
        ("ngram", speculative("ngram", prompt_lookup_min=2, prompt_lookup_max=4)),
        ("eagle3", speculative("eagle3", model="some/head")),
        ("mtp", speculative("mtp")),
    ],
)
def test_vllm(name: str, expected: dict[str, Any]) -> None:
    assert arguments(EVERY[name], "vllm") == expected
    assert conflicts({name: EVERY[name]}) == []


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "draft",
            {
                "speculative_algorithm": "STANDALONE",
                "speculative_draft_model_path": DRAFT_PATH,
                **CHAIN,
            },
        ),
        (
            "ngram",
            {
                "speculative_algorithm": "NGRAM",
                "speculative_num_draft_tokens": 4,
                "speculative_ngram_max_bfs_breadth": 1,
            },
        ),
        (
            "eagle3",
            {
                "speculative_algorithm": "EAGLE3",
                "speculative_draft_model_path": "some/head",
                **CHAIN,
            },
        ),
        ("mtp", {"speculative_algorithm": "NEXTN", **CHAIN}),
    ],
)
def test_sglang(name: str, expected: dict[str, Any]) -> None:
    assert arguments(EVERY[name], "sglang") == expected


def test_lmdeploy() -> None:
    k = {"speculative_num_draft_tokens": 3}
    head = {"speculative_draft_model": "some/head"}
    eagle3 = {"speculative_algorithm": "eagle3", **head, **k}
    assert arguments(EVERY["eagle3"], "lmdeploy") == eagle3
    own = {"speculative_algorithm": "qwen3_5_mtp", **k}
    assert arguments(Mtp(k=3, family="qwen3_5"), "lmdeploy") == own
    assert arguments(EVERY["draft"], "lmdeploy") is None
    assert arguments(EVERY["ngram"], "lmdeploy") is None


def test_llama_cpp_looks_prompts_up() -> None:
    lookup = {"draft_model": "prompt-lookup-decoding", "draft_model_num_pred_tokens": 3}
    given = {name: arguments(plugin, "llama_cpp") for name, plugin in EVERY.items()}
    assert given == {"draft": None, "ngram": lookup, "eagle3": None, "mtp": None}


@pytest.mark.parametrize("backend", ["sglang", "llama_cpp"])
def test_lengths_that_a_back_end_cannot_be_told(backend: str) -> None:
    assert arguments(Ngram(min_n=1), backend) is None
    (problem,) = conflicts({"ngram": Ngram(min_n=1)}, backend)
    assert f"does not support engine 'serving: {backend}' with these options" in problem


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_dtype_that_a_back_end_cannot_be_told(backend: str) -> None:
    assert arguments(Draft("tiny-draft", dtype="float32"), backend) is None


@pytest.mark.parametrize(
    ("backend", "leaf"),
    [("vllm", "speculative_config.method"), ("sglang", "speculative_algorithm")],
)
def test_two_ways_to_draft_conflict(backend: str, leaf: str) -> None:
    problems = conflicts({"ngram": EVERY["ngram"], "draft": EVERY["draft"]}, backend)
    assert f"'ngram' and 'draft' both set engine argument '{leaf}'" in problems


@pytest.mark.parametrize("plugin", [Eagle3, Draft])
def test_a_model_that_is_not_there(plugin: Any) -> None:
    (problem,) = plugin("./nowhere").ablate_requirements("vllm").problems
    assert "nowhere does not exist" in problem


@pytest.mark.parametrize("name", EVERY)
def test_evidence_is_what_was_counted(name: str) -> None:
    plugin: Any = EVERY[name]
    shown = plugin.ablate_evidence(state("vllm", DRAFTS))
    assert (shown.plugin, shown.applied) == (name, True)
    assert shown.detail == "10 drafts, 15 of 40 drafted tokens accepted"
    assert shown.numbers == {"mean_acceptance_length": 2.5, "draft_acceptance_rate": 0.375}
    none = plugin.ablate_evidence(state("vllm", {"spec_num_drafts": 0.0}))
    assert (none.applied, none.detail) == (False, "no draft was verified")
    unknown = plugin.ablate_evidence(state("llama_cpp"))
    assert (unknown.applied, unknown.detail) == (False, "the engine does not count drafts")
    assert plugin.ablate_evidence(state("vllm", stage="warmup")).applied is None


def test_an_engine_that_counts_drafts_alone() -> None:
    shown = Mtp().ablate_evidence(state("sglang", {"spec_num_drafts": 10.0}))
    assert shown.applied


@pytest.mark.parametrize("make", [Ngram, Mtp, lambda k: Eagle3("m", k), lambda k: Draft("m", k)])
def test_nothing_to_draft(make: Any) -> None:
    with pytest.raises(ValueError, match="k must be at least 1, not 0"):
        make(k=0)


def test_an_unknown_family_of_heads() -> None:
    with pytest.raises(ValueError, match="family must be one of deepseek, hy3, qwen3_5"):
        Mtp(family="other")  # type: ignore[arg-type]
