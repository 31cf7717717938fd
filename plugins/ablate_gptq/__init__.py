"""Weight quantization that makes up, column by column, for the errors of the columns before."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from ablate.quantization.gptqmodel import OfGptqmodel

BITS = (3, 4, 8)


@dataclass(frozen=True)
class Gptq(OfGptqmodel):
    """Quantize the weights to ``bits`` bits with second-order corrections.

    ``group_size``: weights of one row that share a scale and a zero point (-1: the whole row).
    ``desc_act`` takes the input features in order of falling activation, which is more accurate and
    slower to run. ``calibration``: ``domains`` (worked training examples), ``self`` (the model's
    own answers to them) or a text file; ``calibration_samples`` of them, drawn with ``seed``.
    ``python``: the interpreter of an environment that has gptqmodel, if this one has not.
    """

    desc_act: bool = False

    method: ClassVar[str] = "gptq"
    group_sizes: ClassVar[tuple[int, ...]] = (-1, 32, 64, 128)
    script: ClassVar[Path] = Path(__file__).with_name("quantize.py")
    source: ClassVar[str] = "Frantar et al. 2022, GPTQ (2210.17323)"

    def __post_init__(self) -> None:
        if self.bits not in BITS:
            raise ValueError(f"bits must be one of 3, 4, 8, not {self.bits}")
        super().__post_init__()
