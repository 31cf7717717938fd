"""4-bit weights by llm-compressor, in the format of compressed-tensors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from ablate.quantization.llmcompressor import Compressed

GROUP_SIZES = (32, 64, 128)


@dataclass(frozen=True)
class W4a16(Compressed):
    """4-bit integer weights of every linear layer by GPTQ, activations as they are.

    ``group_size``: weights of one row that share a scale. ``calibration``: ``domains`` (worked
    training examples), ``self`` (the model's own answers to them) or a text file;
    ``calibration_samples`` of them, drawn with ``seed``. ``python``: the interpreter of
    llm-compressor's environment.
    """

    group_size: int = 64

    method: ClassVar[str] = "w4a16"
    bits: ClassVar[int] = 4
    source: ClassVar[str] = "Frantar et al. 2022, GPTQ (2210.17323), by llm-compressor"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.group_size not in GROUP_SIZES:
            sizes = ", ".join(map(str, GROUP_SIZES))
            raise ValueError(f"group_size must be one of {sizes}, not {self.group_size}")

    def modifiers(self) -> Mapping[str, Mapping[str, Any]]:
        weights = {
            "num_bits": 4,
            "type": "int",
            "symmetric": True,
            "strategy": "group",
            "group_size": self.group_size,
        }
        groups = {"group_0": {"targets": ["Linear"], "weights": weights}}
        return {"GPTQModifier": {"ignore": ["lm_head"], "config_groups": groups}}
