"""Linear layers that hold weights of 5 to 8 bits.

Shapes: K input features, N output features, g group size, G = K / g groups, m rows of the input.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - torch's own name for it

from ablate.quantization.linears import Joinable

SIGN = 128
KERNEL_MULTIPLE = 32  # the kernel reads past the end of a row of any other length
# From this many rows on, turning the weight back once costs less than the kernel's arithmetic.
DENSE_ROWS = 12
DENSE_WEIGHTS = 1 << 20  # turned back at a time, so that they are multiplied while a cache has them


class Int8Linear(Joinable):
    """y = x W^T + b with W[n, k] = scale[k / g, n] (code[k, n] - zero[k / g, n]).

    torch's kernel for 8-bit weights knows one scale for a row of the weight. Here each group is
    such a weight by itself: with few rows in bfloat16 on a CPU, G products are added up in float32.
    With many rows, in the other dtypes and on a GPU, W is turned back for the call.
    """

    dimensions: ClassVar[Mapping[str, int]] = {"packed": 1, "scales": 1, "zeros": 1, "bias": 0}
    packed: Tensor
    scales: Tensor
    zeros: Tensor | None
    bias: Tensor | None

    def __init__(self, codes: Tensor, zeros: Tensor, scales: Tensor, bias: Tensor | None) -> None:
        """``codes`` [K, N] and ``zeros`` [G, N] hold 0 to 255, ``scales`` [G, N] any dtype.

        The layer computes in the dtype of ``scales``, where they all are; ``codes`` are bytes.
        """
        super().__init__()
        self.in_features, self.out_features = codes.shape
        self.group_size = self.in_features // len(scales)
        self.kernel = (
            scales.dtype == torch.bfloat16
            and scales.device.type == "cpu"
            and self.group_size % KERNEL_MULTIPLE == 0
        )
        groups = _signed(codes).view(len(scales), self.group_size, self.out_features)
        offsets = _signed(zeros)
        self.register_buffer("packed", groups.transpose(1, 2).contiguous())
        self.register_buffer("scales", scales.contiguous())
        self.register_buffer("zeros", offsets.contiguous() if offsets.any() else None)
        self.register_buffer("bias", bias)

    def forward(self, x: Tensor) -> Tensor:
        rows = x.reshape(-1, self.in_features)
        few = self.kernel and len(rows) < DENSE_ROWS
        y = self._multiply(rows) if few else self._multiply_dense(rows)
        y = y if self.bias is None else y + self.bias
        return y.view(*x.shape[:-1], self.out_features)

    def _multiply(self, rows: Tensor) -> Tensor:
        groups = len(self.scales)
        parts = rows.view(-1, groups, self.group_size).transpose(0, 1).contiguous()
        products = map(
            torch._weight_int8pack_mm, parts.unbind(), self.packed.unbind(), self.scales.unbind()
        )
        y = next(products).float()
        for product in products:
            y.add_(product)
        if self.zeros is not None:
            moved = self.scales.float().mul_(self.zeros)
            y.addmm_(parts.sum(-1, dtype=torch.float32).t(), moved, alpha=-1)
        return y.to(rows.dtype)

    def _multiply_dense(self, rows: Tensor) -> Tensor:
        n = max(1, DENSE_WEIGHTS // self.in_features) if rows.device.type == "cpu" else None
        n = n or self.out_features
        starts = range(0, self.out_features, n)
        return torch.cat([F.linear(rows, self._weight(i, i + n)) for i in starts], -1)

    def _weight(self, first: int, last: int) -> Tensor:
        """Its rows [last - first, K]."""
        groups = self.packed[:, first:last].transpose(0, 1)
        codes = groups.to(self.scales.dtype, memory_format=torch.contiguous_format)
        if self.zeros is not None:
            codes.sub_(self.zeros[:, first:last].t().unsqueeze(-1))
        codes.mul_(self.scales[:, first:last].t().unsqueeze(-1))
        return codes.view(len(codes), self.in_features)

    def dense(self) -> Tensor:
        """The weight, transposed: [K, N]."""
        return self._weight(0, self.out_features).t()

    @property
    def _form(self) -> tuple[object, ...]:
        return self.kernel, self.packed.shape[::2], self.zeros is None, self.bias is None

    def extra_repr(self) -> str:
        return f"{self.in_features}, {self.out_features}, group_size={self.group_size}"


def _signed(codes: Tensor) -> Tensor:
    """0 to 255 as -128 to 127."""
    return (codes.to(torch.uint8) ^ SIGN).view(torch.int8)
