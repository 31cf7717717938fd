"""8-bit integers for weights and activations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from ablate.plugins import Plugin, hookimpl
from ablate.quantization import llmcompressor
from ablate.quantization.calibration import Source
from ablate.types import Evidence, EvidenceState, ModelSpec, Requirements

RECIPE = 1  # raised when the job below changes what it writes


@dataclass(frozen=True)
class W8a8(Plugin):
    """Weights and inputs of every linear layer in 8-bit integers: SmoothQuant, then GPTQ.

    Weights have a scale a row, inputs one a token, found while running. ``smoothing``: how much of
    the inputs' outliers goes into the weights (0: none). ``calibration``: ``domains`` (worked
    training examples), ``self`` (the model's own answers to them) or a text file;
    ``calibration_samples`` of them, drawn with ``seed``. ``python``: the interpreter of
    llm-compressor's environment.
    """

    smoothing: float = 0.8
    calibration: str = "domains"
    calibration_samples: int = 128
    seed: int = 0
    python: str = ""

    source: ClassVar[str] = (
        "Xiao et al. 2022, SmoothQuant (2211.10438); Frantar et al. 2022 (2210.17323)"
    )

    def __post_init__(self) -> None:
        if not 0 <= self.smoothing <= 1:
            raise ValueError(f"smoothing must be from 0 to 1, not {self.smoothing}")
        self._source().check()

    @hookimpl
    def ablate_requirements(self, engine: str) -> Requirements:
        return llmcompressor.requirements("w8a8", self.python)

    @hookimpl
    def ablate_load_model(self, model: ModelSpec, device: str) -> Any:
        from ablate.quantization.checkpoint import load  # torch: only when a trial opens

        return load(llmcompressor.quantized(self._job(), self.python, model), model.dtype, device)

    @hookimpl
    def ablate_evidence(self, state: EvidenceState) -> Evidence:
        from ablate.quantization.evidence import evidence

        return evidence("w8a8", state.components["model"], 8)

    def _source(self) -> Source:
        return Source(self.calibration, self.calibration_samples, self.seed)

    def _job(self) -> llmcompressor.Job:
        smooth = {"SmoothQuantModifier": {"smoothing_strength": self.smoothing}}
        gptq = {"GPTQModifier": {"targets": "Linear", "scheme": "W8A8", "ignore": ["lm_head"]}}
        return llmcompressor.Job(
            "w8a8",
            RECIPE,
            {**(smooth if self.smoothing else {}), **gptq},
            self._source(),
        )
