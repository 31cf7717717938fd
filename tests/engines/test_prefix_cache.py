"""Prefix caching on engines that own their loop."""

from __future__ import annotations

from typing import Any

import pytest

from ablate_prefix_cache import PrefixCache
from tests.engines.serving import BACKENDS, arguments, conflicts, state

SWITCHES: dict[str, dict[str, Any]] = {
    "vllm": {"enable_prefix_caching": True},
    "sglang": {"disable_radix_cache": False},
    "lmdeploy": {"enable_prefix_caching": True},
    "llama_cpp": {"cache": True},
}


@pytest.mark.parametrize("backend", BACKENDS)
def test_is_switched_on(backend: str) -> None:
    assert arguments(PrefixCache(), backend) == SWITCHES[backend]


@pytest.mark.parametrize(
    ("backend", "name"),
    [("vllm", "block_size"), ("sglang", "page_size"), ("lmdeploy", "cache_block_seq_len")],
)
def test_a_given_block_size_is_the_engines(backend: str, name: str) -> None:
    assert arguments(PrefixCache(64), backend) == {**SWITCHES[backend], name: 64}


def test_llama_cpp_has_no_blocks() -> None:
    (problem,) = conflicts({"prefix_cache": PrefixCache(64)}, "llama_cpp")
    assert "with these options" in problem


def test_an_unknown_back_end() -> None:
    assert arguments(PrefixCache(), "another") is None


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_engines_word_or_a_hit_is_evidence(backend: str) -> None:
    plugin = PrefixCache()
    ((name, value),) = SWITCHES[backend].items()
    for said in (value, not value):
        settings: dict[str, Any] = {name: said}
        assert plugin.ablate_evidence(state(backend, **settings)).applied is (said == value)
    hit = plugin.ablate_evidence(
        state(backend, {"prefix_cache_queries": 40.0, "prefix_cache_hits": 10.0})
    )
    assert hit.applied is True
    assert hit.numbers == {"prefix_cache_hit_rate": 0.25}


def test_looking_prompts_up_is_no_evidence() -> None:
    looked = {"prefix_cache_queries": 40.0, "prefix_cache_hits": 0.0}
    plugin = PrefixCache()
    assert plugin.ablate_evidence(state("vllm", looked, "warmup")).applied is None
    shown = plugin.ablate_evidence(state("vllm", looked))
    assert shown.applied is False
    assert shown.detail == (
        "0 of 40 prompt tokens found; the engine does not say what its enable_prefix_caching is"
    )


def test_a_bad_block_size() -> None:
    with pytest.raises(ValueError, match="block_size must be at least 1, not 0"):
        PrefixCache(0)
