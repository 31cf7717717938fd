"""Speculative decoding with a small draft model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from ablate.errors import RecipeError
from ablate.models import ModelConfig, resolve_model
from ablate.plugins import Plugin, hookimpl
from ablate.types import Evidence, EvidenceState, ModelSpec, Requirements

if TYPE_CHECKING:
    from ablate.engines.local.interfaces import DecodeStep, KVStore, Sampler


@dataclass(frozen=True)
class Draft(Plugin):
    """Let a small ``model`` of the same vocabulary draft ``k`` tokens that the model verifies.

    ``dtype``: of the draft model; ``auto`` is its checkpoint's.
    """

    model: str
    k: int = 4
    dtype: str = "auto"

    source: ClassVar[str] = "Leviathan et al. 2023 (2211.17192); Chen et al. 2023 (2302.01318)"
    lossless: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.k < 1:
            raise ValueError(f"k must be at least 1, not {self.k}")

    @hookimpl
    def ablate_requirements(self, engine: str) -> Requirements:
        try:
            self._spec()
        except RecipeError as error:
            return Requirements(problems=error.problems)
        return Requirements(needs=frozenset({"rollback", "logits"}))

    @hookimpl
    def ablate_decode_step(self, model: Any, cache: KVStore, sampler: Sampler) -> DecodeStep:
        from ablate.engines.local.runner import ModelRunner
        from ablate.engines.local.step import VerifyingStep
        from ablate_draft.proposer import draft_model

        proposer = draft_model(self._spec(), model, sampler, self.k)
        return VerifyingStep(ModelRunner(model, cache), sampler, proposer)

    @hookimpl
    def ablate_evidence(self, state: EvidenceState) -> Evidence:
        from ablate.engines.local.evidence import drafting

        return drafting("draft", state)

    def _spec(self) -> ModelSpec:
        return resolve_model(ModelConfig(self.model, dtype=self.dtype), on_host=False)
