"""8-bit floats without a scale, which is what vLLM stores where a checkpoint has none."""

from __future__ import annotations

import torch
from torch import Tensor

from ablate.engines.local.slots import CacheShape, Codec

TYPES = {
    "fp8": torch.float8_e4m3fn,
    "fp8_e4m3": torch.float8_e4m3fn,
    "fp8_e5m2": torch.float8_e5m2,
}


class Float8(Codec):
    """Numbers beyond the largest of the type become that: torch would make them NaN or infinite."""

    def __init__(self, dtype: str) -> None:
        self._dtype = TYPES[dtype]
        self._largest = torch.finfo(self._dtype).max

    def planes(self, shape: CacheShape) -> tuple[tuple[int, torch.dtype], ...]:
        return ((shape.head_dim, self._dtype),)

    def encode(self, x: Tensor) -> tuple[Tensor, ...]:
        return (x.clamp(-self._largest, self._largest).to(self._dtype),)

    def decode(self, planes: tuple[Tensor, ...], dtype: torch.dtype) -> Tensor:
        x = planes[0]
        if self._dtype == torch.float8_e4m3fn and x.device.type == "cpu":
            return _from_e4m3(x, dtype)
        return x.to(dtype)


def _from_e4m3(x: Tensor, dtype: torch.dtype) -> Tensor:
    """The numbers in ``dtype``; torch's own conversion takes five times as long on a CPU.

    Put into the bits of a half, exponent upon exponent, they are 2**8 times too small, as the bias
    of the exponent differs by 8.
    """
    bits = x.view(torch.int8).to(torch.int16) << 7
    bits &= ~0x4000  # a copy of the sign
    # all ones, which is no number there: carried on into the first bit of the exponent, it is none
    bits |= ((bits & 0x3F80) + 0x80) & 0x4000
    return bits.view(torch.float16).to(dtype).mul_(2.0**8)
