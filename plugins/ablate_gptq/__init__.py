"""Weight quantization that makes up, column by column, for the errors of the columns before."""

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

BITS = (3, 4, 8)
GROUP_SIZES = (-1, 32, 64, 128)
BACKENDS = ("vllm", "sglang", "lmdeploy")
RECIPE = 1  # raised when quantize.py changes what it writes


@dataclass(frozen=True)
class Gptq(Plugin):
    """Quantize the weights to ``bits`` bits with second-order corrections.

    ``group_size``: weights of one row that share a scale and a zero point (-1: the whole row).
    ``desc_act`` takes the input features in order of falling activation, which is more accurate and
    slower to run. ``calibration``: ``domains`` (worked training examples), ``self`` (the model's
    own answers to them) or a text file; ``calibration_samples`` of them, drawn with ``seed``.
    """

    bits: int = 4
    group_size: int = 64
    desc_act: bool = False
    calibration: str = "domains"
    calibration_samples: int = 128
    seed: int = 0

    source: ClassVar[str] = "Frantar et al. 2022, GPTQ (2210.17323)"

    def __post_init__(self) -> None:
        if self.bits not in BITS:
            raise ValueError(f"bits must be one of 3, 4, 8, not {self.bits}")
        if self.group_size not in GROUP_SIZES:
            sizes = ", ".join(str(size) for size in GROUP_SIZES)
            raise ValueError(f"group_size must be one of {sizes}, not {self.group_size}")
        Source(self.calibration, self.calibration_samples, self.seed).check()

    @hookimpl
    def ablate_requirements(self, engine: str) -> Requirements:
        return requirements("gptq", PACKAGES)

    @hookimpl
    def ablate_load_model(self, model: ModelSpec, device: str) -> Any:
        from ablate.quantization.checkpoint import load  # torch: only when a trial opens

        return load(self._made(model, device), model.dtype, device)

    @hookimpl
    def ablate_engine_args(self, engine: str, model: ModelSpec) -> Mapping[str, Any] | None:
        return served.arguments(engine, BACKENDS, lambda: self._made(model, accelerator()))

    @hookimpl
    def ablate_evidence(self, state: EvidenceState) -> Evidence:
        return served.evidence("gptq", state, self.bits)

    def _made(self, model: ModelSpec, device: str) -> Path:
        return quantized("gptq", "ablate_gptq.quantize", RECIPE, asdict(self), model, device)
