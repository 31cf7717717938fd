"""Speculative decoding by looking the next tokens up in the text so far."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from ablate.plugins import Plugin, hookimpl
from ablate.types import Evidence, EvidenceState, Requirements

if TYPE_CHECKING:
    from ablate.engines.local.interfaces import DecodeStep, KVStore, Sampler


@dataclass(frozen=True)
class Ngram(Plugin):
    """Draft ``k`` tokens that followed the last earlier occurrence of the newest n-gram.

    The longest n-gram of ``max_n`` down to ``min_n`` tokens that occurs earlier in the prompt or
    the output is used.
    """

    k: int = 4
    min_n: int = 2
    max_n: int = 4

    source: ClassVar[str] = "prompt lookup decoding (Saxena 2023); verification: 2211.17192"
    lossless: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.k < 1:
            raise ValueError(f"k must be at least 1, not {self.k}")
        if not 1 <= self.min_n <= self.max_n:
            raise ValueError(f"1 <= min_n <= max_n must hold, not {self.min_n} and {self.max_n}")

    @hookimpl
    def ablate_requirements(self, engine: str) -> Requirements:
        return Requirements(needs=frozenset({"rollback", "logits"}))

    @hookimpl
    def ablate_decode_step(self, model: Any, cache: KVStore, sampler: Sampler) -> DecodeStep:
        from ablate.engines.local.runner import ModelRunner
        from ablate.engines.local.step import VerifyingStep
        from ablate_ngram.proposer import NgramProposer

        proposer = NgramProposer(self.k, self.min_n, self.max_n)
        return VerifyingStep(ModelRunner(model, cache), sampler, proposer)

    @hookimpl
    def ablate_evidence(self, state: EvidenceState) -> Evidence:
        from ablate.engines.local.evidence import drafting

        return drafting("ngram", state)
