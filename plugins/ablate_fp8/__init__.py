"""8-bit floats for weights and activations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal, get_args

from ablate.plugins import Plugin, hookimpl
from ablate.quantization import llmcompressor
from ablate.quantization.calibration import Source
from ablate.types import Evidence, EvidenceState, ModelSpec, Requirements

Scheme = Literal["dynamic", "static"]
SCHEMES = {"dynamic": "FP8_DYNAMIC", "static": "FP8"}
RECIPE = 1  # raised when the job below changes what it writes


@dataclass(frozen=True)
class Fp8(Plugin):
    """Weights and inputs of every linear layer as 8-bit floats (e4m3).

    ``dynamic``: weights have a scale a row, inputs one a token, found while running. ``static``:
    one scale for a layer's weights and one for its inputs, from ``calibration``: ``domains``
    (worked training examples), ``self`` (the model's own answers to them) or a text file;
    ``calibration_samples`` of them, drawn with ``seed``. ``python``: the interpreter of
    llm-compressor's environment.
    """

    scheme: Scheme = "dynamic"
    calibration: str = "domains"
    calibration_samples: int = 128
    seed: int = 0
    python: str = ""

    source: ClassVar[str] = "Micikevicius et al. 2022, FP8 Formats for Deep Learning (2209.05433)"

    def __post_init__(self) -> None:
        if self.scheme not in get_args(Scheme):
            raise ValueError(f"scheme must be dynamic or static, not {self.scheme!r}")
        self._source().check()

    @hookimpl
    def ablate_requirements(self, engine: str) -> Requirements:
        return llmcompressor.requirements("fp8", self.python)

    @hookimpl
    def ablate_load_model(self, model: ModelSpec, device: str) -> Any:
        from ablate.quantization.checkpoint import load  # torch: only when a trial opens

        return load(llmcompressor.quantized(self._job(), self.python, model), model.dtype, device)

    @hookimpl
    def ablate_evidence(self, state: EvidenceState) -> Evidence:
        from ablate.quantization.evidence import evidence

        return evidence("fp8", state.components["model"], 8)

    def _source(self) -> Source:
        return Source(self.calibration, self.calibration_samples, self.seed)

    def _job(self) -> llmcompressor.Job:
        scheme = {"targets": "Linear", "scheme": SCHEMES[self.scheme], "ignore": ["lm_head"]}
        source = self._source() if self.scheme == "static" else None
        return llmcompressor.Job("fp8", RECIPE, {"QuantizationModifier": scheme}, source)
