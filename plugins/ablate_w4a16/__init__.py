"""4-bit weights by llm-compressor, in the format of compressed-tensors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from ablate.plugins import Plugin, hookimpl
from ablate.quantization import llmcompressor
from ablate.quantization.calibration import Source
from ablate.types import Evidence, EvidenceState, ModelSpec, Requirements

GROUP_SIZES = (32, 64, 128)
RECIPE = 1  # raised when the job below changes what it writes


@dataclass(frozen=True)
class W4a16(Plugin):
    """4-bit integer weights of every linear layer by GPTQ, activations as they are.

    ``group_size``: weights of one row that share a scale. ``calibration``: ``domains`` (worked
    training examples), ``self`` (the model's own answers to them) or a text file;
    ``calibration_samples`` of them, drawn with ``seed``. ``python``: the interpreter of
    llm-compressor's environment.
    """

    group_size: int = 64
    calibration: str = "domains"
    calibration_samples: int = 128
    seed: int = 0
    python: str = ""

    source: ClassVar[str] = "Frantar et al. 2022, GPTQ (2210.17323), by llm-compressor"

    def __post_init__(self) -> None:
        if self.group_size not in GROUP_SIZES:
            sizes = ", ".join(map(str, GROUP_SIZES))
            raise ValueError(f"group_size must be one of {sizes}, not {self.group_size}")
        self._source().check()

    @hookimpl
    def ablate_requirements(self, engine: str) -> Requirements:
        return llmcompressor.requirements("w4a16", self.python)

    @hookimpl
    def ablate_load_model(self, model: ModelSpec, device: str) -> Any:
        from ablate.quantization.checkpoint import load  # torch: only when a trial opens

        return load(llmcompressor.quantized(self._job(), self.python, model), model.dtype, device)

    @hookimpl
    def ablate_evidence(self, state: EvidenceState) -> Evidence:
        from ablate.quantization.evidence import evidence

        return evidence("w4a16", state.components["model"], 4)

    def _source(self) -> Source:
        return Source(self.calibration, self.calibration_samples, self.seed)

    def _job(self) -> llmcompressor.Job:
        weights = {
            "num_bits": 4,
            "type": "int",
            "symmetric": True,
            "strategy": "group",
            "group_size": self.group_size,
        }
        groups = {"group_0": {"targets": ["Linear"], "weights": weights}}
        gptq = {"GPTQModifier": {"ignore": ["lm_head"], "config_groups": groups}}
        return llmcompressor.Job("w4a16", RECIPE, gptq, self._source())
