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
        return planes[0].to(dtype)
