"""Symmetric int8 with one half-precision scale per vector (one token, one head)."""

from __future__ import annotations

import torch
from torch import Tensor

from ablate.engines.local.slots import CacheShape, Codec

LEVELS = 127


class Int8(Codec):
    """Vector x is stored as round(x / s) with s = max|x| / 127, s in float16."""

    def planes(self, shape: CacheShape) -> tuple[tuple[int, torch.dtype], ...]:
        return ((shape.head_dim, torch.int8), (1, torch.float16))

    def encode(self, x: Tensor) -> tuple[Tensor, ...]:
        x = x.float()
        # below float16's smallest normal number a scale would lose its precision or become zero
        scale = (x.abs().amax(-1, keepdim=True) / LEVELS).clamp_min(2.0**-14).half()
        rounded = (x / scale.float()).round().clamp(-LEVELS, LEVELS)
        return rounded.to(torch.int8), scale

    def decode(self, planes: tuple[Tensor, ...], dtype: torch.dtype) -> Tensor:
        values, scale = planes
        return values.to(dtype) * scale.to(dtype)
