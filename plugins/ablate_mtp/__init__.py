"""Speculative decoding with the multi-token prediction heads that a model brings along."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, get_args

from ablate import speculation
from ablate.evidence import drafting
from ablate.plugins import Plugin, hookimpl
from ablate.types import Evidence, EvidenceState, ModelSpec, Requirements

Family = Literal["deepseek", "hy3", "qwen3_5"]


@dataclass(frozen=True)
class Mtp(Plugin):
    """Let the model's own multi-token prediction heads draft ``k`` tokens.

    ``family``: whose heads they are; only LMDeploy needs to be told.
    """

    k: int = 1
    family: Family = "deepseek"

    source: ClassVar[str] = "Gloeckle et al. 2024 (2404.19737); DeepSeek-V3 (2412.19437)"
    lossless: ClassVar[bool] = True

    def __post_init__(self) -> None:
        speculation.at_least_one(self.k)
        if self.family not in get_args(Family):
            raise ValueError(
                f"family must be one of {', '.join(get_args(Family))}, not {self.family!r}"
            )

    @hookimpl
    def ablate_requirements(self, engine: str) -> Requirements:
        return Requirements(needs=speculation.NEEDS)

    @hookimpl
    def ablate_engine_args(self, engine: str, model: ModelSpec) -> Mapping[str, Any] | None:
        if engine == "vllm":
            return speculation.vllm("mtp", self.k)
        if engine == "sglang":
            return speculation.sglang("NEXTN", self.k)
        if engine == "lmdeploy":
            return speculation.lmdeploy(f"{self.family}_mtp", self.k)
        return None

    @hookimpl
    def ablate_evidence(self, state: EvidenceState) -> Evidence:
        return drafting("mtp", state)
