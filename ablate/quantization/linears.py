"""A model's linear layers, and ones that hold weights of up to 4 bits.

Shapes: K input features, N output features, g group size, m rows of the input.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own name for it

# How the int4 kernel interleaves columns: blocks of this many, the low four bits for the first
# half. 64 with AVX-512, 32 with AVX2, 2 otherwise.
KERNEL_BLOCKS = (64, 32, 2)
KERNEL_COLUMNS = 16
KERNEL_GROUPS = (256, 128, 64, 32)
CUDA_CAPABILITY = (8, 0)  # bfloat16 on tensor cores
CUDA_TILE = 16  # input features; the kernel takes 8, 4 or 2 of them at a time
# From this many rows on, turning the weight back once costs less than the int4 kernel's arithmetic,
# which grows faster with the rows than that of a bfloat16 product.
DENSE_ROWS = 128


def plain_linears(model: Any) -> dict[str, nn.Linear]:
    """A model's linear layers by name, but for the output layer, often the embedding as well.

    ``model``: a transformers model. A layer of a class that is no ``nn.Linear`` is not
    among them, so look for those of your own yourself.
    """
    head = model.get_output_embeddings()
    return {
        name: layer
        for name, layer in model.named_modules()
        if isinstance(layer, nn.Linear) and layer is not head
    }


class Joinable(nn.Module):
    """A layer that can be one with others that get the same input.

    ``dimensions``: by name of a buffer, along which those of several layers stand side by side.
    What is None in one must be in all.
    """

    dimensions: ClassVar[Mapping[str, int]]
    out_features: int

    @property
    def _form(self) -> tuple[object, ...]:
        """What layers that can be one have in common."""
        raise NotImplementedError

    def joined_with(self, others: Sequence[nn.Module]) -> nn.Module | None:
        """One layer with the outputs of all, whose weights become views of its; None: they differ.

        Layers of one form differ in their outputs and buffers alone.
        """
        layers = [self, *(layer for layer in others if isinstance(layer, type(self)))]
        if len(layers) <= len(others) or len({layer._form for layer in layers}) > 1:
            return None
        whole = copy(self)
        whole._buffers = dict(self._buffers)
        whole.out_features = sum(layer.out_features for layer in layers)
        for name, dim in self.dimensions.items():
            parts = [own for layer in layers if (own := getattr(layer, name)) is not None]
            if not parts:
                continue
            joined = torch.cat(parts, dim)
            setattr(whole, name, joined)
            views = joined.split_with_sizes([own.shape[dim] for own in parts], dim)
            for layer, view in zip(layers, views, strict=True):
                setattr(layer, name, view)
        return whole


class Int4Linear(Joinable):
    """y = x W^T + b with W[n, k] = scale[k / g, n] (code[k, n] - zero[k / g, n]).

    Codes of up to 4 bits, each held in 4. With few rows in bfloat16, torch's int4 kernel multiplies
    without unpacking. With many rows, and in the other dtypes, where that kernel is a slow loop, W
    is unpacked for the call. On a GPU (tinygemm, compute capability 8.0) the kernel takes any
    number of rows, as its layout is not unpacked.
    """

    dimensions: ClassVar[Mapping[str, int]] = {"packed": 0, "scales_and_zeros": 1, "bias": 0}
    packed: Tensor
    scales_and_zeros: Tensor
    bias: Tensor | None

    def __init__(self, codes: Tensor, zeros: Tensor, scales: Tensor, bias: Tensor | None) -> None:
        """``codes`` [K, N] and ``zeros`` [K / g, N] hold 0 to 15, ``scales`` [K / g, N] any dtype.

        The layer computes in the dtype of ``scales``, where they all are; ``codes`` are bytes.
        """
        super().__init__()
        self.in_features, self.out_features = codes.shape
        self.group_size, repeats = _kernel_groups(self.in_features // len(scales))
        zeros, scales = (t.repeat_interleave(repeats, 0) for t in (zeros, scales))
        offsets = (8 - zeros.to(torch.float32)) * scales.to(torch.float32)
        table = torch.stack((scales, offsets.to(scales.dtype)), dim=-1)
        self.kernel = (
            scales.dtype == torch.bfloat16
            and self.out_features % KERNEL_COLUMNS == 0
            and self.group_size in KERNEL_GROUPS
            and _has_kernel(scales.device)
        )
        packed, self.block = _pack_for_kernel(codes) if self.kernel else _pack(codes)
        self.register_buffer("packed", packed)
        self.register_buffer("scales_and_zeros", table.contiguous())
        self.register_buffer("bias", bias)

    def forward(self, x: Tensor) -> Tensor:
        rows = x if x.dim() == 2 else x.reshape(-1, self.in_features)
        bias = self._buffers["bias"]
        if self.kernel and (self.block is None or len(rows) < DENSE_ROWS):
            y = self._multiply(rows.contiguous())
            y = y if bias is None else y + bias
        else:
            y = F.linear(rows, self.dense().t(), bias)
        return y if x.dim() == 2 else y.reshape(*x.shape[:-1], self.out_features)

    def _multiply(self, rows: Tensor) -> Tensor:
        # with few rows, looking buffers up as attributes would cost more than the product
        held: dict[str, Any] = self._buffers
        packed, table = held["packed"], held["scales_and_zeros"].contiguous()
        kernel = torch._weight_int4pack_mm if rows.is_cuda else torch._weight_int4pack_mm_for_cpu
        return kernel(rows, packed, self.group_size, table)

    def joined_with(self, others: Sequence[nn.Module]) -> nn.Module | None:
        """With the kernel alone, whose layouts have one block of columns behind the other."""
        return super().joined_with(others) if self.kernel else None

    @property
    def _form(self) -> tuple[object, ...]:
        return self.kernel, self.block, self.group_size, self.packed.shape[1:], self.bias is None

    def dense(self) -> Tensor:
        """The weight, transposed: [K, N]."""
        if self.packed.is_cuda and self.kernel:
            ones = torch.eye(self.in_features, dtype=torch.bfloat16, device=self.packed.device)
            return self._multiply(ones)
        if self.block is None:
            raise ValueError("the kernel's layout is not known on this processor")
        table = self.scales_and_zeros.permute(2, 0, 1).unsqueeze(2).contiguous()
        scales, offsets = table  # each [K / g, 1, N]
        codes = _unpack(self.packed, self.in_features, self.block).to(scales.dtype)
        grouped = codes.view(-1, self.group_size, self.out_features)
        return torch.addcmul(offsets, grouped.sub_(8), scales).view(codes.shape)

    def extra_repr(self) -> str:
        return f"{self.in_features}, {self.out_features}, group_size={self.group_size}"


def _kernel_groups(size: int) -> tuple[int, int]:
    """The group size that the kernel is given, and into how many of them a group is cut."""
    fitting = [group for group in KERNEL_GROUPS if size % group == 0]
    return (fitting[0], size // fitting[0]) if fitting else (size, 1)


def _has_kernel(device: torch.device) -> bool:
    return device.type == "cpu" or (
        device.type == "cuda" and torch.cuda.get_device_capability(device) >= CUDA_CAPABILITY
    )


def _pack_for_kernel(codes: Tensor) -> tuple[Tensor, int | None]:
    """The kernel's own layout, and its block where that is one of the known ones."""
    if codes.is_cuda:
        return _pack_for_cuda(codes), None
    packed = torch.ops.aten._convert_weight_to_int4pack_for_cpu(codes.t().int().contiguous(), 1)
    rows, columns = codes.shape
    for block in KERNEL_BLOCKS:
        if columns % block == 0 and torch.equal(_unpack(packed, rows, block), codes):
            return packed, block
    return packed, None


def _pack_for_cuda(codes: Tensor) -> Tensor:
    """Two codes of a row a byte, the first in the high bits, as torch's function wants them."""
    rows = codes.t()
    pairs = (rows[:, ::2] << 4 | rows[:, 1::2]).contiguous()
    tiles = next(n for n in (8, 4, 2) if len(codes) % (n * CUDA_TILE) == 0)
    packed: Tensor = torch.ops.aten._convert_weight_to_int4pack(pairs, tiles)
    return packed


def _pack(codes: Tensor) -> tuple[Tensor, int]:
    """One block: the low four bits for the first half of the columns."""
    first, second = codes.chunk(2, dim=1)
    return first | second << 4, codes.shape[1]


def _unpack(packed: Tensor, rows: int, block: int) -> Tensor:
    """Codes [K, N] from bytes that are, in memory, [N / block, K, block / 2]."""
    pairs = packed.view(-1, rows, block // 2)
    codes = torch.cat((pairs & 15, pairs >> 4), dim=-1)
    return codes.permute(1, 0, 2).reshape(rows, -1)


class Reordered(nn.Module):
    """A layer whose groups are made of input features in another order (``desc_act``)."""

    order: Tensor

    def __init__(self, inner: nn.Module, order: Tensor) -> None:
        """``order`` [K]: which input feature each row of ``inner``'s codes belongs to."""
        super().__init__()
        self.inner = inner
        self.register_buffer("order", order)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.inner(x.index_select(-1, self.order))
        return y
