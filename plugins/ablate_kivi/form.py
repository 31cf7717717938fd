"""How quantized keys and values lie in memory, and what they take."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ablate.engines.local.slots import CacheShape
from ablate.errors import TrialError
from ablate_kivi.rounding import packed, rounded, unpack

PARAMETERS = 2 * 2  # bytes of a zero point and a step, float16 both


@dataclass(frozen=True)
class Form:
    """Keys share a zero point and a step over ``group`` tokens of one channel, values over
    ``channels`` channels of one token.

    Shapes: T tokens, whole groups of them; G key/value heads, D head size.
    """

    bits: int
    group: int
    channels: int

    @classmethod
    def of(cls, shape: CacheShape, bits: int, group_size: int) -> Form:
        """For a model. Raises TrialError where its heads cannot be cut into groups."""
        channels = min(group_size, shape.head_dim)
        if shape.head_dim % channels or shape.head_dim % (8 // bits):
            raise TrialError(
                f"the model's heads have {shape.head_dim} channels, which cannot be cut into "
                f"groups of {channels}; set kivi.group_size to a divisor"
            )
        return cls(bits, group_size, channels)

    def group_bytes(self, shape: CacheShape) -> int:
        """Bytes of ``group`` tokens over all layers and heads, keys and values."""
        codes = 2 * self.group * shape.head_dim * self.bits // 8
        steps = shape.head_dim + self.group * shape.head_dim // self.channels
        return shape.vectors * (codes + PARAMETERS * steps)

    def widths(self, shape: CacheShape) -> tuple[tuple[int, torch.dtype], ...]:
        """Width and dtype of each plane: codes and parameters of keys, then of values.

        The parameters of keys have an entry for each group, the other planes one for each token.
        """
        codes = (shape.head_dim * self.bits // 8, torch.uint8)
        keys, values = 2 * shape.head_dim, 2 * shape.head_dim // self.channels
        return codes, (keys, torch.float16), codes, (values, torch.float16)

    def keys(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Codes ``[T, G, width]`` and parameters ``[T / group, G, width]`` of ``[T, G, D]``."""
        codes, zero, step = rounded(x.view(-1, self.group, *x.shape[1:]), 1, self.bits)
        return packed(codes.flatten(0, 1), self.bits), torch.cat([zero, step], dim=-1)[:, 0]

    def values(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Codes and parameters of values ``[T, G, D]``, ``[T, G, width]`` both."""
        codes, zero, step = rounded(x.view(*x.shape[:2], -1, self.channels), -1, self.bits)
        return packed(codes.flatten(-2), self.bits), torch.cat([zero, step], dim=-2)[..., 0]

    def keys_back(self, codes: Tensor, parameters: Tensor, out: Tensor) -> None:
        """Write to ``out``, ``[R, G, T, D]``, the keys of planes ``[R, G, T, width]`` and
        ``[R, G, T / group, width]``.

        In place, as new memory of this size costs more than all that is computed in it.
        """
        zero, step = parameters.to(out.dtype)[:, :, :, None].chunk(2, dim=-1)
        unpack(codes, self.bits, out)
        out.view(*out.shape[:2], -1, self.group, out.shape[3]).mul_(step).add_(zero)

    def values_back(self, codes: Tensor, parameters: Tensor, out: Tensor) -> None:
        """Write to ``out``, ``[R, G, T, D]``, the values of planes ``[R, G, T, width]``."""
        zero, step = parameters.to(out.dtype)[..., None].chunk(2, dim=-2)
        unpack(codes, self.bits, out)
        out.view(*out.shape[:3], -1, self.channels).mul_(step).add_(zero)
