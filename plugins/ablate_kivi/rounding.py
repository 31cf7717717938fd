"""Asymmetric rounding to few bits, and codes packed into bytes."""

from __future__ import annotations

import torch
from torch import Tensor

LARGEST = torch.finfo(torch.float16).max
# below float16's smallest normal number a step would lose its precision or become zero
SMALLEST = 2.0**-14


def rounded(x: Tensor, dim: int, bits: int) -> tuple[Tensor, Tensor, Tensor]:
    """Codes from 0 to 2**bits - 1, and of each group along ``dim`` its zero point and its step.

    A number is ``zero + step * code``, with zero = min(group) and step = (max - min) / (levels - 1)
    in float16. Both are rounded before the codes are chosen, so that codes make up for it.
    """
    x = x.float()
    levels = (1 << bits) - 1
    zero = x.amin(dim, keepdim=True).clamp(-LARGEST, LARGEST).half()
    step = (x.amax(dim, keepdim=True) - zero.float()) / levels
    step = step.clamp(SMALLEST, LARGEST).half()
    codes = ((x - zero.float()) / step.float()).round().clamp(0, levels)
    return codes.to(torch.uint8), zero, step


def packed(codes: Tensor, bits: int) -> Tensor:
    """Codes ``[..., D]`` as bytes ``[..., D * bits / 8]``, each with a code of every part of D."""
    together, *others = codes.chunk(8 // bits, dim=-1)
    for place, part in enumerate(others, 1):
        together = together | (part << bits * place)
    return together


def unpack(together: Tensor, bits: int, out: Tensor) -> None:
    """Write the codes, as numbers, to ``out``, ``[..., D]``."""
    width, mask = together.shape[-1], (1 << bits) - 1
    for part in range(8 // bits):
        out[..., part * width : (part + 1) * width] = (together >> bits * part) & mask
