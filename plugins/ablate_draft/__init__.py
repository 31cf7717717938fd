"""Speculative decoding with a small draft model."""

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


@dataclass(frozen=True)
class Draft(Plugin):
    """Let a small ``model`` of the same vocabulary draft ``k`` tokens that the model verifies.

    ``dtype``: of the draft model; ``auto`` is its checkpoint's. Engines that own their loop choose
    it themselves and support ``auto`` alone.
    """

    model: str
    k: int = 4
    dtype: str = "auto"

    source: ClassVar[str] = "Leviathan et al. 2023 (2211.17192); Chen et al. 2023 (2302.01318)"
    lossless: ClassVar[bool] = True

    def __post_init__(self) -> None:
        speculation.at_least_one(self.k)

    @hookimpl
    def ablate_requirements(self, engine: str) -> Requirements:
        return speculation.draft_requirements(self.model, self.dtype)

    @hookimpl
    def ablate_decode_step(self, model: Any, cache: KVStore, sampler: Sampler) -> DecodeStep:
        from ablate.engines.local.runner import ModelRunner
        from ablate.engines.local.step import VerifyingStep
        from ablate_draft.proposer import draft_model

        proposer = draft_model(self._spec(), model, cache, sampler, self.k)
        return VerifyingStep(ModelRunner(model, cache), sampler, proposer)

    @hookimpl
    def ablate_engine_args(self, engine: str, model: ModelSpec) -> Mapping[str, Any] | None:
        if self.dtype != "auto":
            return None
        path = self._spec().path
        if engine == "vllm":
            return speculation.vllm("draft_model", self.k, model=path)
        if engine == "sglang":
            return speculation.sglang("STANDALONE", self.k, speculative_draft_model_path=path)
        return None

    @hookimpl
    def ablate_evidence(self, state: EvidenceState) -> Evidence:
        return drafting("draft", state)

    def _spec(self) -> ModelSpec:
        return speculation.draft_spec(self.model, self.dtype)
