"""Speculative decoding by looking the next tokens up in the text so far."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from ablate import speculation
from ablate.evidence import drafting
from ablate.plugins import Plugin, hookimpl
from ablate.types import Evidence, EvidenceState, ModelSpec, Requirements

if TYPE_CHECKING:
    from ablate.engines.local.interfaces import DecodeStep, KVStore, Sampler

MIN_N, MAX_N = 2, 4


@dataclass(frozen=True)
class Ngram(Plugin):
    """Draft ``k`` tokens that followed the last earlier occurrence of the newest n-gram.

    The longest n-gram of ``max_n`` down to ``min_n`` tokens that occurs earlier in the prompt or
    the output is used. SGLang and llama.cpp choose the lengths themselves and support the defaults
    alone.
    """

    k: int = 4
    min_n: int = MIN_N
    max_n: int = MAX_N

    source: ClassVar[str] = "prompt lookup decoding (Saxena 2023); verification: 2211.17192"
    lossless: ClassVar[bool] = True

    def __post_init__(self) -> None:
        speculation.at_least_one(self.k)
        if not 1 <= self.min_n <= self.max_n:
            raise ValueError(f"1 <= min_n <= max_n must hold, not {self.min_n} and {self.max_n}")

    @hookimpl
    def ablate_requirements(self, engine: str) -> Requirements:
        return Requirements(needs=speculation.NEEDS)

    @hookimpl
    def ablate_decode_step(self, model: Any, cache: KVStore, sampler: Sampler) -> DecodeStep:
        from ablate.engines.local.runner import ModelRunner
        from ablate.engines.local.step import VerifyingStep
        from ablate_ngram.proposer import NgramProposer

        proposer = NgramProposer(self.k, self.min_n, self.max_n)
        return VerifyingStep(ModelRunner(model, cache), sampler, proposer)

    @hookimpl
    def ablate_engine_args(self, engine: str, model: ModelSpec) -> Mapping[str, Any] | None:
        if engine == "vllm":
            sizes = {"prompt_lookup_min": self.min_n, "prompt_lookup_max": self.max_n}
            return speculation.vllm("ngram", self.k, **sizes)
        if (self.min_n, self.max_n) != (MIN_N, MAX_N):
            return None
        if engine == "sglang":
            return _sglang(self.k)
        if engine == "llama_cpp":
            method = "prompt-lookup-decoding"
            return {"draft_model": method, "draft_model_num_pred_tokens": self.k}
        return None

    @hookimpl
    def ablate_evidence(self, state: EvidenceState) -> Evidence:
        return drafting("ngram", state)


def _sglang(k: int) -> Mapping[str, Any]:
    """A chain of ``k`` tokens, as elsewhere: left alone, SGLang drafts a tree ten tokens wide."""
    return {
        "speculative_algorithm": "NGRAM",
        "speculative_num_draft_tokens": k + 1,
        "speculative_ngram_max_bfs_breadth": 1,
    }
