"""8-bit integers for weights and activations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from ablate.quantization.llmcompressor import Compressed


@dataclass(frozen=True)
class W8a8(Compressed):
    """Weights and inputs of every linear layer in 8-bit integers: SmoothQuant, then GPTQ.

    Weights have a scale a row, inputs one a token, found while running. ``smoothing``: how much of
    the inputs' outliers goes into the weights (0: none). ``calibration``: ``domains`` (worked
    training examples), ``self`` (the model's own answers to them) or a text file;
    ``calibration_samples`` of them, drawn with ``seed``. ``python``: the interpreter of
    llm-compressor's environment.
    """

    smoothing: float = 0.8

    method: ClassVar[str] = "w8a8"
    bits: ClassVar[int] = 8
    source: ClassVar[str] = "Xiao et al. 2022, SmoothQuant (2211.10438), and GPTQ (2210.17323)"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.smoothing <= 1:
            raise ValueError(f"smoothing must be from 0 to 1, not {self.smoothing}")

    def modifiers(self) -> Mapping[str, Mapping[str, Any]]:
        smooth = {"SmoothQuantModifier": {"smoothing_strength": self.smoothing}}
        gptq = {"GPTQModifier": {"targets": "Linear", "scheme": "W8A8", "ignore": ["lm_head"]}}
        return {**(smooth if self.smoothing else {}), **gptq}
