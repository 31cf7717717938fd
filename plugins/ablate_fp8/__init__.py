"""8-bit floats for weights and activations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, get_args

from ablate.quantization.llmcompressor import Compressed

Scheme = Literal["dynamic", "static"]
SCHEMES = {"dynamic": "FP8_DYNAMIC", "static": "FP8"}


@dataclass(frozen=True)
class Fp8(Compressed):
    """Weights and inputs of every linear layer as 8-bit floats (e4m3).

    ``scheme``: ``dynamic`` has a scale for each row of weights and each token of inputs, found
    while running; ``static`` has one for a layer's weights and one for its inputs, from
    ``calibration``: ``domains`` (worked training examples), ``self`` (the model's own answers to
    them) or a text file; ``calibration_samples`` of them, drawn with ``seed``. ``python``: the
    interpreter of llm-compressor's environment.
    """

    scheme: Scheme = "dynamic"

    method: ClassVar[str] = "fp8"
    bits: ClassVar[int] = 8
    source: ClassVar[str] = "Micikevicius et al. 2022, FP8 Formats for Deep Learning (2209.05433)"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.scheme not in get_args(Scheme):
            raise ValueError(f"scheme must be dynamic or static, not {self.scheme!r}")

    @property
    def calibrated(self) -> bool:
        return self.scheme == "static"

    def modifiers(self) -> Mapping[str, Mapping[str, Any]]:
        chosen = {"targets": "Linear", "scheme": SCHEMES[self.scheme], "ignore": ["lm_head"]}
        return {"QuantizationModifier": chosen}
