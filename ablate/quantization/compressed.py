"""What a checkpoint of compressed-tensors holds, layer by layer."""

from __future__ import annotations

from collections.abc import MutableMapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ablate.quantization.activations import Float8, Int8Dynamic, Product
from ablate.quantization.formats import gptq_codes
from ablate.quantization.linears import Int4Linear

METHOD = "compressed-tensors"
FORMATS = {
    "int-quantized": (8, "int"),
    "pack-quantized": (4, "int"),
    "float-quantized": (8, "float"),
}
"""Layout -> the bits and the kind of its codes."""


def compression(config: dict[str, Any]) -> str:
    """The layout of a checkpoint's one group of layers; ValueError for what is not read here."""
    groups = list(config["config_groups"].values())
    if len(groups) != 1:
        raise ValueError(f"cannot read {METHOD} checkpoints with {len(groups)} groups of layers")
    (group,) = groups
    weights, layout = group["weights"], str(group.get("format") or config["format"])
    bits, kind = int(weights["num_bits"]), str(weights["type"])
    if FORMATS.get(layout) != (bits, kind) or not weights["symmetric"]:
        how = "symmetric" if weights["symmetric"] else "asymmetric"
        raise ValueError(f"cannot read {how} {bits}-bit {kind} weights in the layout {layout!r}")
    return layout


def layers(
    tensors: MutableMapping[str, Tensor], layout: str, dtype: torch.dtype, device: torch.device
) -> dict[str, nn.Module]:
    """Every quantized layer by name, on ``device``; their tensors are taken out of ``tensors``."""
    names = [n.removesuffix(".weight_scale") for n in tensors if n.endswith(".weight_scale")]
    if layout == "int-quantized":
        groups = (_int8(tensors, group, dtype, device) for group in _sharing(names))
        return {name: layer for group in groups for name, layer in group.items()}
    make = _float8 if layout == "float-quantized" else _int4
    return {name: make(tensors, name, dtype, device) for name in names}


SHARING = (("q_proj", "k_proj", "v_proj"), ("gate_proj", "up_proj"))
"""Layers of one parent that get the same input."""


def _sharing(names: Sequence[str]) -> list[list[str]]:
    """The names in groups that share an input; a group of one where nothing is known."""
    groups: dict[tuple[str, int], list[str]] = {}
    for number, name in enumerate(names):
        parent, _, own = name.rpartition(".")
        kind = next((i for i, shared in enumerate(SHARING) if own in shared), None)
        key = (parent, kind) if kind is not None else (name, -1 - number)
        groups.setdefault(key, []).append(name)
    return list(groups.values())


def _int8(
    tensors: MutableMapping[str, Tensor],
    names: Sequence[str],
    dtype: torch.dtype,
    device: torch.device,
) -> dict[str, nn.Module]:
    taken = [(tensors.pop(f"{n}.weight"), tensors.pop(f"{n}.weight_scale")) for n in names]
    parts = [(codes.to(device), scales.to(device)) for codes, scales in taken]
    product = Product(parts, dtype)
    return {
        name: Int8Dynamic(product, place, codes.shape, tensors.pop(f"{name}.bias", None))
        for place, (name, (codes, _)) in enumerate(zip(names, parts, strict=True))
    }


def _float8(
    tensors: MutableMapping[str, Tensor], name: str, dtype: torch.dtype, device: torch.device
) -> nn.Module:
    codes, scales = tensors.pop(f"{name}.weight"), tensors.pop(f"{name}.weight_scale")
    static, bias = tensors.pop(f"{name}.input_scale", None), tensors.pop(f"{name}.bias", None)
    return Float8(codes.to(device), scales, bias, dtype, static)


def _int4(
    tensors: MutableMapping[str, Tensor], name: str, _: torch.dtype, device: torch.device
) -> nn.Module:
    scales, bias = tensors.pop(f"{name}.weight_scale"), tensors.pop(f"{name}.bias", None)
    tensors.pop(f"{name}.weight_shape")
    codes = gptq_codes(tensors.pop(f"{name}.weight_packed"), 4).t().contiguous()
    zeros = torch.full(scales.shape, 8, dtype=torch.uint8).t().contiguous()
    scales = scales.t().contiguous()
    return Int4Linear(codes.to(device), zeros.to(device), scales.to(device), bias)
