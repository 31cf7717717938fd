"""Activation-aware weight quantization to 4-bit integers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

from ablate.plugins import Plugin, hookimpl
from ablate.quantization import served
from ablate.quantization.calibration import Source
from ablate.quantization.extras import requirements
from ablate.quantization.gptqmodel import PACKAGES, accelerator, quantized
from ablate.types import Evidence, EvidenceState, ModelSpec, Requirements

GROUP_SIZES = (32, 64, 128)
BACKENDS = ("vllm", "sglang", "lmdeploy")
RECIPE = 1  # raised when quantize.py changes what it writes


@dataclass(frozen=True)
class Awq(Plugin):
    """Quantize the weights to 4 bits, scaled to spare the channels that activations make salient.

    ``group_size``: weights of one row that share a scale and a zero point. ``calibration``: what
    the scales are searched on: ``domains`` (worked training examples), ``self`` (the model's own
    answers to them) or a text file; ``calibration_samples`` of them, drawn with ``seed``.
    """

    bits: int = 4
    group_size: int = 64
    calibration: str = "domains"
    calibration_samples: int = 128
    seed: int = 0

    source: ClassVar[str] = "Lin et al. 2023, AWQ (2306.00978)"

    def __post_init__(self) -> None:
        if self.bits != 4:
            raise ValueError(f"bits must be 4, the only width that AWQ is run in, not {self.bits}")
        if self.group_size not in GROUP_SIZES:
            sizes = ", ".join(str(size) for size in GROUP_SIZES)
            raise ValueError(f"group_size must be one of {sizes}, not {self.group_size}")
        Source(self.calibration, self.calibration_samples, self.seed).check()

    @hookimpl
    def ablate_requirements(self, engine: str) -> Requirements:
        return requirements("awq", PACKAGES)

    @hookimpl
    def ablate_load_model(self, model: ModelSpec, device: str) -> Any:
        from ablate.quantization.checkpoint import load  # torch: only when a trial opens

        return load(self._made(model, device), model.dtype, device)

    @hookimpl
    def ablate_engine_args(self, engine: str, model: ModelSpec) -> Mapping[str, Any] | None:
        return served.arguments(engine, BACKENDS, lambda: self._made(model, accelerator()))

    @hookimpl
    def ablate_evidence(self, state: EvidenceState) -> Evidence:
        return served.evidence("awq", state, self.bits)

    def _made(self, model: ModelSpec, device: str) -> Path:
        return quantized("awq", "ablate_awq.quantize", RECIPE, asdict(self), model, device)
