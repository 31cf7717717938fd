"""Activation-aware weight quantization to 4-bit integers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from ablate.quantization.gptqmodel import OfGptqmodel


@dataclass(frozen=True)
class Awq(OfGptqmodel):
    """Quantize the weights to 4 bits, scaled to spare the channels that activations make salient.

    ``group_size``: weights of one row that share a scale and a zero point. ``calibration``: what
    the scales are searched on: ``domains`` (worked training examples), ``self`` (the model's own
    answers to them) or a text file; ``calibration_samples`` of them, drawn with ``seed``.
    ``python``: the interpreter of an environment that has gptqmodel, if this one has not.
    """

    method: ClassVar[str] = "awq"
    group_sizes: ClassVar[tuple[int, ...]] = (32, 64, 128)
    script: ClassVar[Path] = Path(__file__).with_name("quantize.py")
    source: ClassVar[str] = "Lin et al. 2023, AWQ (2306.00978)"

    def __post_init__(self) -> None:
        if self.bits != 4:
            raise ValueError(f"bits must be 4, the only width that AWQ is run in, not {self.bits}")
        super().__post_init__()
