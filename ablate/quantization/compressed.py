"""What a checkpoint of compressed-tensors holds, layer by layer."""

from __future__ import annotations

from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ablate.quantization.activations import Float8, Int8Dynamic, Quantized
from ablate.quantization.formats import gptq_codes
from ablate.quantization.linears import Int4Linear

METHOD = "compressed-tensors"
FORMATS = {
    "int-quantized": (8, "int"),
    "pack-quantized": (4, "int"),
    "float-quantized": (8, "float"),
}
"""Layout -> the bits and the kind of its codes."""


@dataclass(frozen=True)
class Compression:
    """A checkpoint's one group of quantized layers. ``format``: how their tensors are laid out."""

    format: str
    bits: int


def compression(config: dict[str, Any]) -> Compression:
    """Raises ValueError for what is not read here."""
    groups = list(config["config_groups"].values())
    if len(groups) != 1:
        raise ValueError(f"cannot read {METHOD} checkpoints with {len(groups)} groups of layers")
    (group,) = groups
    weights, layout = group["weights"], str(group.get("format") or config["format"])
    bits, kind = int(weights["num_bits"]), str(weights["type"])
    if FORMATS.get(layout) != (bits, kind) or not weights["symmetric"]:
        how = "symmetric" if weights["symmetric"] else "asymmetric"
        raise ValueError(f"cannot read {how} {bits}-bit {kind} weights in the layout {layout!r}")
    return Compression(layout, bits)


def names(tensors: MutableMapping[str, Tensor]) -> list[str]:
    """The quantized layers."""
    return [n.removesuffix(".weight_scale") for n in tensors if n.endswith(".weight_scale")]


def layer(
    tensors: MutableMapping[str, Tensor],
    name: str,
    how: Compression,
    dtype: torch.dtype,
    rows: Quantized,
) -> nn.Module:
    """One layer; its tensors are taken out of ``tensors``."""
    scales, bias = tensors.pop(f"{name}.weight_scale"), tensors.pop(f"{name}.bias", None)
    if how.format == "int-quantized":
        return Int8Dynamic(tensors.pop(f"{name}.weight"), scales, bias, dtype, rows)
    if how.format == "float-quantized":
        static = tensors.pop(f"{name}.input_scale", None)
        return Float8(tensors.pop(f"{name}.weight"), scales, bias, dtype, static)
    tensors.pop(f"{name}.weight_shape")
    codes = gptq_codes(tensors.pop(f"{name}.weight_packed"), how.bits).t().contiguous()
    zeros = torch.full(scales.shape, 8, dtype=torch.uint8).t().contiguous()
    return Int4Linear(codes, zeros, scales.t().contiguous(), bias)
