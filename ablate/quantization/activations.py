"""Linear layers that quantize their inputs as well as their weights.

Shapes: K input features, N output features, m rows of the input.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own name for it

INT8_MOST = 127
ZERO = 128
"""oneDNN multiplies unsigned inputs with signed weights: an input of 0 is held as 128."""
CUDA_ROWS = 32  # torch's product of bytes on a GPU wants more than 16 rows
FLOAT8 = torch.float8_e4m3fn
FLOAT8_CAPABILITY, FLOAT8_MULTIPLE = (8, 9), 16  # what a GPU needs, and features come in
FLOAT8_MOST = 448.0
TINY = 1e-12


class Product:
    """One product of bytes for layers that get the same input: their weights stand side by side.

    The projections of an attention, and the two of a gated feed-forward, get one tensor in turn.
    The first that asks has its input quantized and all of them computed. Each result is handed out
    once, so that an input that comes again is computed again; it must not be changed in place
    between layers that share it, which no model does.
    """

    def __init__(self, parts: Sequence[tuple[Tensor, Tensor]], dtype: torch.dtype) -> None:
        """``parts``: by layer the codes [N, K] int8 and scales [N] or [N, 1]; ``dtype``: of the
        results. It is made, and computes, on the device where they are.
        """
        codes = torch.cat([part for part, _ in parts])
        self._on_cpu = codes.device.type == "cpu"
        self.packed: Tensor = codes
        if self._on_cpu:
            self._product = torch.ops.onednn.qlinear_pointwise.default
            self._zero = torch.tensor([float(ZERO)])
            self.packed = torch.ops.onednn.qlinear_prepack(codes.contiguous(), None)
        self.scales = torch.cat([scales.reshape(-1) for _, scales in parts]).float()
        self.no_zeros = torch.zeros(len(codes), dtype=torch.int32, device=codes.device)
        self._sizes = [len(part) for part, _ in parts]
        self._dtype = dtype
        self._input: Tensor | None = None
        self._waiting: dict[int, Tensor] = {}

    def take(self, place: int, x: Tensor) -> Tensor:
        """The result [m, N] of the layer at ``place`` for an input [..., K]."""
        if self._input is not x or place not in self._waiting:
            whole = self.all(x)
            self._input, self._waiting = x, dict(enumerate(whole.split_with_sizes(self._sizes, -1)))
        found = self._waiting.pop(place)
        if not self._waiting:
            self._input = None
        return found

    @property
    def parts(self) -> int:
        return len(self._sizes)

    def all(self, x: Tensor) -> Tensor:
        """The results of all layers side by side, [m, sum of N]."""
        rows = x.reshape(-1, x.shape[-1])
        if self._on_cpu and len(rows) == 1:
            return self._of_one(rows)
        rounded, scales = _rounded(rows)
        if self._on_cpu:
            return (
                self.multiply(rounded.add_(ZERO), 1.0, torch.float32).mul_(scales).to(self._dtype)
            )
        summed = _int_product(rounded.to(torch.int8), self.packed)
        return summed.mul_(self.scales).mul_(scales).to(self._dtype)

    def _of_one(self, row: Tensor) -> Tensor:
        """A row's scale can be a number, and oneDNN takes that: fewer passes over little data."""
        least, most = torch.aminmax(row)
        scale = max(float(most), -float(least), TINY) / INT8_MOST
        # 128 is even: adding it first rounds halves the same way
        moved = torch.add(self._zero, row, alpha=1 / scale)
        return self.multiply(moved.round_(), scale, self._dtype)

    def multiply(self, moved: Tensor, scale: float, dtype: torch.dtype) -> Tensor:
        """``moved`` [m, K]: whole numbers and 128 to each; ``scale``: of the whole numbers."""
        y: Tensor = self._product(
            moved.byte(), scale, ZERO, self.packed, self.scales, self.no_zeros, None,
            1.0, 0, dtype, "none", [], "",
        )  # fmt: skip
        return y


def _rounded(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Whole numbers [m, K] and scales [m, 1], in float32: the largest over 127."""
    wide = rows.float()
    scales = wide.abs().amax(-1, keepdim=True).clamp_min_(TINY).div_(INT8_MOST)
    return (wide / scales).round_(), scales


def _int_product(codes: Tensor, weights: Tensor) -> Tensor:
    """``[m, N]`` in float32 of bytes [m, K] and [N, K] on a GPU, added up as 32-bit integers."""
    m = len(codes)
    if m < CUDA_ROWS:
        codes = F.pad(codes, (0, 0, 0, CUDA_ROWS - m))
    return torch._int_mm(codes, weights.t())[:m].float()


class Int8Dynamic(nn.Module):
    """y = s_x s_w (x_q W_q^T) + b: 8-bit weights with a scale a row, inputs with one a token.

    The product of bytes is oneDNN's or cuBLAS's, exact in 32-bit integers.
    """

    packed: Tensor
    bias: Tensor | None

    def __init__(
        self, product: Product, place: int, shape: torch.Size, bias: Tensor | None
    ) -> None:
        """``place``: which of the product's layers this is; ``shape``: (N, K)."""
        super().__init__()
        self.out_features, self.in_features = shape
        self.product, self._place = product, place
        # shared with the layers beside it, and so counted once
        self.register_buffer("packed", product.packed)
        self.register_buffer("scales", product.scales)
        self.register_buffer("no_zeros", product.no_zeros)
        self.register_buffer("bias", bias)

    def forward(self, x: Tensor) -> Tensor:
        y = self.product.take(self._place, x)
        y = y if self.bias is None else y + self.bias
        return y.view(*x.shape[:-1], self.out_features)

    def joined_with(self, others: Sequence[nn.Module]) -> nn.Module | None:
        """One layer with the outputs of all, if they are those of one product."""
        layers = [self, *(layer for layer in others if isinstance(layer, Int8Dynamic))]
        mine = [x._place for x in layers if x.product is self.product and x.bias is None]
        if len(mine) <= len(others) or mine != list(range(self.product.parts)):
            return None
        return _Whole(self.product)

    def extra_repr(self) -> str:
        return f"{self.in_features}, {self.out_features}"


class _Whole(nn.Module):
    """All layers of a product at once."""

    def __init__(self, product: Product) -> None:
        super().__init__()
        self._product = product

    def forward(self, x: Tensor) -> Tensor:
        return self._product.all(x).view(*x.shape[:-1], -1)


class Float8(nn.Module):
    """8-bit floats for weights and inputs.

    A GPU that multiplies them does, in a bfloat16 model. Elsewhere, as on any CPU, the product is
    the model's dtype's: that shows what they do to the answers, not to the speed.
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
        self._multiplied = _multiplied_as_float8(codes, dtype)
        self.register_buffer("packed", codes)
        self.register_buffer("scales", scales)
        self.register_buffer("input_scale", input_scale)
        self.register_buffer("bias", bias)

    def forward(self, x: Tensor) -> Tensor:
        wide = x.float()
        scale = self.input_scale
        if scale is None:
            scale = wide.abs().amax(-1, keepdim=True).clamp_min(TINY) / FLOAT8_MOST
        codes = (wide / scale).clamp(-FLOAT8_MOST, FLOAT8_MOST).to(FLOAT8)
        if self._multiplied:
            return self._product(codes, scale)
        weight = self.packed.to(self._dtype) * self.scales.to(self._dtype)
        return F.linear((codes.float() * scale).to(self._dtype), weight, self.bias)

    def _product(self, codes: Tensor, scale: Tensor) -> Tensor:
        """Of inputs [..., K] with one ``scale`` or one a token."""
        rows = codes.reshape(-1, self.in_features)
        by_row = scale.float().reshape(-1, 1).expand(len(rows), 1).contiguous()
        by_column = self.scales.float().reshape(1, -1).expand(1, self.out_features).contiguous()
        y = torch._scaled_mm(
            rows, self.packed.t(), scale_a=by_row, scale_b=by_column, out_dtype=self._dtype
        )
        y = y if self.bias is None else y + self.bias
        return y.view(*codes.shape[:-1], self.out_features)

    def extra_repr(self) -> str:
        return f"{self.in_features}, {self.out_features}"


def _multiplied_as_float8(codes: Tensor, dtype: torch.dtype) -> bool:
    """Whether torch has a product of such weights [N, K], with a scale for each row and column."""
    return (
        codes.is_cuda
        and torch.cuda.get_device_capability(codes.device) >= FLOAT8_CAPABILITY
        and dtype == torch.bfloat16
        and all(size % FLOAT8_MULTIPLE == 0 for size in codes.shape)
    )
