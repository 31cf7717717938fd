"""Self-speculative decoding: the model drafts for itself with some of its layers left out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from ablate import speculation
from ablate.evidence import drafting
from ablate.plugins import Plugin, hookimpl
from ablate.types import Evidence, EvidenceState, Requirements

if TYPE_CHECKING:
    from ablate.engines.local.interfaces import DecodeStep, KVStore, Sampler


@dataclass(frozen=True)
class LayerSkip(Plugin):
    """Draft ``k`` tokens with the model itself less some layers; all of it verifies them.

    Either ``exit_layer``: only the first so many layers run, then the model's norm and head. Or
    ``skip``: the layers that are left out, counted from 0.
    """

    k: int = 4
    exit_layer: int | None = None
    skip: list[int] = field(default_factory=list)

    source: ClassVar[str] = (
        "Zhang et al. 2024, Draft & Verify (2309.08168); "
        "Elhoushi et al. 2024, LayerSkip (2404.16710)"
    )
    lossless: ClassVar[bool] = True
    example: ClassVar[Mapping[str, Any]] = {"exit_layer": 1}

    def __post_init__(self) -> None:
        speculation.at_least_one(self.k)
        if (self.exit_layer is None) == (not self.skip):
            raise ValueError("say either exit_layer, how many layers run, or skip, which do not")
        if self.exit_layer is not None and self.exit_layer < 1:
            raise ValueError(f"exit_layer must be at least 1, not {self.exit_layer}")
        if len(set(self.skip)) < len(self.skip) or min(self.skip, default=0) < 0:
            raise ValueError(f"skip must name layers once each, counted from 0, not {self.skip}")

    @hookimpl
    def ablate_requirements(self, engine: str) -> Requirements:
        return Requirements(needs=speculation.NEEDS)

    @hookimpl
    def ablate_decode_step(self, model: Any, cache: KVStore, sampler: Sampler) -> DecodeStep:
        from ablate.engines.local.drafting import DraftModel
        from ablate.engines.local.runner import ModelRunner
        from ablate.engines.local.step import VerifyingStep
        from ablate_layer_skip.view import shallow

        runner = ModelRunner(model, cache)  # first: what it packs, the drafter shares
        proposer = DraftModel(shallow(model, self._kept), cache, sampler, self.k)
        return VerifyingStep(runner, sampler, proposer)

    @hookimpl
    def ablate_evidence(self, state: EvidenceState) -> Evidence:
        return drafting("layer_skip", state)

    def _kept(self, layers: int) -> list[int]:
        """The layers that draft, of a model that has so many. Raises TrialError."""
        from ablate.errors import TrialError

        if self.exit_layer is not None:
            kept = list(range(self.exit_layer))
            wrong = self.exit_layer >= layers
        else:
            kept = [i for i in range(layers) if i not in self.skip]
            wrong = max(self.skip) >= layers or not kept
        if wrong:
            raise TrialError(
                f"layer_skip leaves out layers that are not there, or all or none: the model has "
                f"{layers}, exit_layer is {self.exit_layer} and skip {self.skip}"
            )
        return kept
