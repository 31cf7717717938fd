"""How published checkpoints pack integer weights.

Shapes: K input features, N output features, G groups of a row, R and C rows and columns of a
matrix of codes.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

AWQ_ORDER = (0, 4, 1, 5, 2, 6, 3, 7)
WORD = 32


@dataclass(frozen=True)
class Packing:
    """What a checkpoint's ``quantization_config`` says of its tensors."""

    method: str
    bits: int
    zeros_less_one: bool
    """GPTQ's first format stores a zero point less one."""


@dataclass(frozen=True)
class Codes:
    """One layer: codes [K, N] and zeros [G, N] as bytes, scales [G, N], and the bias.

    ``order`` [K] says which input feature each row of ``codes`` belongs to, None where they are in
    their own order; ``codes`` are sorted by group.
    """

    codes: Tensor
    zeros: Tensor
    scales: Tensor
    bias: Tensor | None
    order: Tensor | None

    def to(self, device: torch.device) -> Codes:
        """The same on ``device``."""
        parts = (self.codes, self.zeros, self.scales, self.bias, self.order)
        return Codes(*(None if part is None else part.to(device) for part in parts))  # type: ignore[arg-type]


def packing(config: dict[str, Any]) -> Packing:
    """Raises ValueError for a format that is not read here."""
    method, bits = str(config["quant_method"]), int(config["bits"])
    layout = str(config.get("checkpoint_format") or config.get("format") or method)
    if method == "awq" and bits == 4 and layout in ("awq", "gemm"):
        return Packing(method, bits, zeros_less_one=False)
    if method == "gptq" and bits in (2, 3, 4, 8) and layout in ("gptq", "gptq_v2"):
        return Packing(method, bits, zeros_less_one=layout == "gptq")
    raise ValueError(f"cannot read {bits}-bit {method} checkpoints in the layout {layout!r}")


def take(tensors: MutableMapping[str, Tensor], name: str, how: Packing) -> Codes:
    """A layer's codes; its tensors are taken out of ``tensors``."""
    words, zero_words = tensors.pop(f"{name}.qweight"), tensors.pop(f"{name}.qzeros")
    scales, bias = tensors.pop(f"{name}.scales"), tensors.pop(f"{name}.bias", None)
    groups = tensors.pop(f"{name}.g_idx", None)
    if how.method == "awq":
        return Codes(awq_codes(words), awq_codes(zero_words), scales, bias, None)
    codes = gptq_codes(words.t().contiguous(), how.bits).t()
    zeros = gptq_codes(zero_words, how.bits) + how.zeros_less_one
    order = None if groups is None or _sorted(groups) else torch.argsort(groups, stable=True)
    codes = codes if order is None else codes[order]
    return Codes(codes.contiguous(), zeros, scales, bias, order)


def _sorted(groups: Tensor) -> bool:
    return bool((groups.diff() >= 0).all())


def awq_codes(packed: Tensor) -> Tensor:
    """Codes [R, C] as bytes from AWQ's ``gemm`` layout, int32 [R, C / 8]."""
    shifts = torch.tensor([4 * place for place in AWQ_ORDER], dtype=torch.int32)
    return (packed.unsqueeze(-1) >> shifts & 15).to(torch.uint8).flatten(-2)


def gptq_codes(packed: Tensor, bits: int) -> Tensor:
    """Codes [R, C] as bytes from words int32 [R, C * bits / 32], each row one string of bits.

    The first code stands in the lowest bits; one of 3 bits may lie in two words.
    """
    rows = packed.shape[0]
    places = torch.arange(WORD, dtype=torch.int32)
    string = (packed.unsqueeze(-1) >> places & 1).to(torch.uint8).view(rows, -1, bits)
    weights = (1 << torch.arange(bits)).to(torch.uint8)
    return (string * weights).sum(-1, dtype=torch.uint8)
