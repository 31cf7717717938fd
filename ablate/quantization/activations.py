"""Linear layers that quantize their inputs as well as their weights, on a CPU.

Shapes: K input features, N output features, m rows of the input.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own name for it

INT8_MOST = 127
ZERO = 128
"""oneDNN multiplies unsigned inputs with signed weights: an input of 0 is held as 128."""
FLOAT8 = torch.float8_e4m3fn
FLOAT8_MOST = 448.0
TINY = 1e-12


class Quantized:
    """Rows of an input as unsigned bytes with a scale each, kept for the layers that share them.

    The projections of an attention, and the two of a gated feed-forward, get one tensor in turn.
    """

    def __init__(self) -> None:
        self._last: tuple[Tensor, tuple[Tensor, Tensor]] | None = None

    def __call__(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """``x`` [..., K] as bytes [m, K] and scales [m, 1] in float32."""
        if self._last is None or self._last[0] is not x:
            self._last = x, _to_bytes(x.reshape(-1, x.shape[-1]))
        return self._last[1]


def _to_bytes(rows: Tensor) -> tuple[Tensor, Tensor]:
    wide = rows.float()
    scales = wide.abs().amax(-1, keepdim=True).clamp_min_(TINY).div_(INT8_MOST)
    return (wide / scales).round_().add_(ZERO).to(torch.uint8), scales


class Int8Dynamic(nn.Module):
    """y = s_x s_w (x_q W_q^T) + b: 8-bit weights with a scale a row, inputs with one a token.

    The product of bytes is oneDNN's, exact in 32-bit integers.
    """

    packed: Tensor
    scales: Tensor
    no_zeros: Tensor
    bias: Tensor | None

    def __init__(
        self,
        codes: Tensor,
        scales: Tensor,
        bias: Tensor | None,
        dtype: torch.dtype,
        rows: Quantized,
    ) -> None:
        """``codes`` [N, K] int8, ``scales`` [N] or [N, 1]; ``dtype``: of the result."""
        super().__init__()
        self.out_features, self.in_features = codes.shape
        self._dtype, self._rows = dtype, rows
        self.register_buffer("packed", torch.ops.onednn.qlinear_prepack(codes.contiguous(), None))
        self.register_buffer("scales", scales.reshape(-1).float().contiguous())
        self.register_buffer("no_zeros", torch.zeros(self.out_features, dtype=torch.int32))
        self.register_buffer("bias", bias)

    def forward(self, x: Tensor) -> Tensor:
        codes, scales = self._rows(x)
        y: Tensor = torch.ops.onednn.qlinear_pointwise(
            codes, 1.0, ZERO, self.packed, self.scales, self.no_zeros, None,
            1.0, 0, torch.float32, "none", [], "",
        )  # fmt: skip
        y = y.mul_(scales)
        y = y if self.bias is None else y.add_(self.bias)
        return y.to(self._dtype).view(*x.shape[:-1], self.out_features)

    def extra_repr(self) -> str:
        return f"{self.in_features}, {self.out_features}"


class Float8(nn.Module):
    """8-bit floats for weights and inputs, multiplied in the model's dtype.

    No CPU computes with them: this shows what they do to the answers, not to the speed.
    """

    packed: Tensor
    scales: Tensor
    input_scale: Tensor | None
    bias: Tensor | None

    def __init__(
        self,
        codes: Tensor,
        scales: Tensor,
        bias: Tensor | None,
        dtype: torch.dtype,
        input_scale: Tensor | None,
    ) -> None:
        """``codes`` [N, K] float8, ``scales`` [N, 1] or [1]; ``dtype``: of the result.

        ``input_scale`` [1]: of all inputs; None: each token has its own.
        """
        super().__init__()
        self.out_features, self.in_features = codes.shape
        self._dtype = dtype
        self.register_buffer("packed", codes)
        self.register_buffer("scales", scales)
        self.register_buffer("input_scale", input_scale)
        self.register_buffer("bias", bias)

    def forward(self, x: Tensor) -> Tensor:
        wide = x.float()
        scale = self.input_scale
        if scale is None:
            scale = wide.abs().amax(-1, keepdim=True).clamp_min(TINY) / FLOAT8_MOST
        rounded = (wide / scale).clamp(-FLOAT8_MOST, FLOAT8_MOST).to(FLOAT8).float() * scale
        weight = self.packed.to(self._dtype) * self.scales.to(self._dtype)
        return F.linear(rounded.to(self._dtype), weight, self.bias)

    def extra_repr(self) -> str:
        return f"{self.in_features}, {self.out_features}"
