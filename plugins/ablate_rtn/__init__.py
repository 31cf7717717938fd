"""Weights rounded to the nearest of a few levels: what quantization costs without calibration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from ablate.plugins import Plugin, hookimpl
from ablate.types import Evidence, EvidenceState, ModelSpec


@dataclass(frozen=True)
class Rtn(Plugin):
    """Round every linear weight to one of ``2 ** bits`` levels, ``group_size`` weights at a time.

    A control for accuracy: the rounded weights are kept in the model's own dtype, so neither
    memory nor speed changes. ``group_size`` -1: a whole row shares its levels.
    """

    bits: int = 4
    group_size: int = 64

    source: ClassVar[str] = "the round-to-nearest baseline of GPTQ (2210.17323)"

    def __post_init__(self) -> None:
        if not 2 <= self.bits <= 8:
            raise ValueError(f"bits must be from 2 to 8, not {self.bits}")
        if self.group_size != -1 and self.group_size < 1:
            raise ValueError(f"group_size must be positive, or -1 for rows, not {self.group_size}")

    @hookimpl
    def ablate_load_model(self, model: ModelSpec, device: str) -> Any:
        from ablate.engines.local.loading import load_model
        from ablate_rtn.rounding import round_linears

        loaded = load_model(model, device)
        round_linears(loaded, self.bits, self.group_size)
        return loaded

    @hookimpl
    def ablate_evidence(self, state: EvidenceState) -> Evidence:
        from ablate_rtn.rounding import evidence

        return evidence(state.components["model"], self.bits, self.group_size)
