"""Weights quantized by bitsandbytes while the model is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, get_args

from ablate.plugins import Plugin, hookimpl
from ablate.quantization import served
from ablate.quantization.extras import requirements
from ablate.types import Evidence, EvidenceState, ModelSpec, Requirements

Scheme = Literal["int8", "nf4", "fp4"]
PACKAGES = ("bitsandbytes", "accelerate")


@dataclass(frozen=True)
class Bnb(Plugin):
    """Quantize every linear layer but the output layer as bitsandbytes does.

    ``scheme``: ``int8`` is LLM.int8(), inputs as well, with input features beyond ``threshold``
    left in full (0: none); ``nf4`` and ``fp4`` are 4-bit weights in blocks of 64, the levels of a
    normal distribution or of a 4-bit float; ``double_quant`` quantizes their scales as well.
    """

    scheme: Scheme = "nf4"
    double_quant: bool = False
    threshold: float = 6.0

    source: ClassVar[str] = "Dettmers et al. 2022 (2208.07339); Dettmers et al. 2023 (2305.14314)"

    def __post_init__(self) -> None:
        if self.scheme not in get_args(Scheme):
            raise ValueError(f"scheme must be one of int8, nf4, fp4, not {self.scheme!r}")
        if self.threshold < 0:
            raise ValueError(f"threshold must be at least 0, not {self.threshold}")
        if self.double_quant and self.scheme == "int8":
            raise ValueError("double_quant is for nf4 and fp4; int8 has no blocks of scales")

    @hookimpl
    def ablate_requirements(self, engine: str) -> Requirements:
        return requirements("bnb", PACKAGES)

    @hookimpl
    def ablate_load_model(self, model: ModelSpec, device: str) -> Any:
        from ablate_bnb.quantize import load

        return load(self, model, device)

    @hookimpl
    def ablate_engine_args(self, engine: str, model: ModelSpec) -> Mapping[str, Any] | None:
        if engine != "vllm" or self.scheme != "nf4" or self.double_quant:
            return None  # vLLM quantizes on load in this one way
        return {"quantization": "bitsandbytes", "load_format": "bitsandbytes"}

    @hookimpl
    def ablate_evidence(self, state: EvidenceState) -> Evidence:
        return served.evidence("bnb", state, 8 if self.scheme == "int8" else 4)
