"""Speculative decoding with an EAGLE-3 head trained for the model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from ablate import speculation
from ablate.evidence import drafting
from ablate.plugins import Plugin, hookimpl
from ablate.types import Evidence, EvidenceState, ModelSpec, Requirements


@dataclass(frozen=True)
class Eagle3(Plugin):
    """Let the EAGLE-3 head ``model`` draft ``k`` tokens from the model's own hidden states."""

    model: str
    k: int = 4

    source: ClassVar[str] = "Li et al. 2025, EAGLE-3 (2503.01840)"
    lossless: ClassVar[bool] = True

    def __post_init__(self) -> None:
        speculation.at_least_one(self.k)

    @hookimpl
    def ablate_requirements(self, engine: str) -> Requirements:
        return speculation.draft_requirements(self.model)

    @hookimpl
    def ablate_engine_args(self, engine: str, model: ModelSpec) -> Mapping[str, Any] | None:
        path = speculation.draft_spec(self.model).path
        if engine == "vllm":
            return speculation.vllm("eagle3", self.k, model=path)
        if engine == "sglang":
            return speculation.sglang("EAGLE3", self.k, speculative_draft_model_path=path)
        if engine == "lmdeploy":
            return speculation.lmdeploy("eagle3", self.k, speculative_draft_model=path)
        return None

    @hookimpl
    def ablate_evidence(self, state: EvidenceState) -> Evidence:
        return drafting("eagle3", state)
