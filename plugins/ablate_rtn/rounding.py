"""Rounding a weight to evenly spaced levels."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ablate.errors import TrialError
from ablate.quantization.linears import plain_linears
from ablate.types import Evidence


def round_to_nearest(weight: Tensor, bits: int, group_size: int) -> Tensor:
    """A weight (out, in) with each group of a row on ``2 ** bits`` levels from its least to its
    greatest value, both included, and zero where the group has both signs.

    The arithmetic is in float32; the result has the weight's dtype. Raises ValueError where
    ``group_size`` does not divide a row.
    """
    width = weight.shape[1] if group_size == -1 else group_size
    if weight.shape[1] % width:
        raise ValueError(f"group_size {width} does not divide a row of {weight.shape[1]} weights")
    groups = weight.float().reshape(-1, width)
    low = groups.amin(1, keepdim=True).clamp(max=0)
    high = groups.amax(1, keepdim=True).clamp(min=0)
    steps = 2**bits - 1
    scale = ((high - low) / steps).clamp(min=torch.finfo(torch.float32).tiny)
    zero = (-low / scale).round()
    codes = (groups / scale + zero).round().clamp(0, steps)
    rounded: Tensor = ((codes - zero) * scale).reshape(weight.shape).to(weight.dtype)
    return rounded


@torch.no_grad()
def round_linears(model: Any, bits: int, group_size: int) -> None:
    """Round every linear layer's weight in place, but for the output layer's.

    The output layer often is the embedding as well. Raises TrialError as above.
    """
    for name, layer in plain_linears(model).items():
        try:
            layer.weight.copy_(round_to_nearest(layer.weight, bits, group_size))
        except ValueError as error:
            raise TrialError(f"rtn cannot round {name}: {error}") from None


def evidence(model: Any, bits: int, group_size: int) -> Evidence:
    """Counts the layers in which no group has more different values than ``bits`` allow."""
    linears = plain_linears(model).values()
    rounded = sum(most_values(layer.weight, group_size) <= 2**bits for layer in linears)
    return Evidence(
        "rtn",
        0 < rounded == len(linears),
        f"{rounded} of {len(linears)} linear layers have at most {2**bits} values in a group",
        {"quantized_linears": rounded, "linears": len(linears), "bits": bits},
    )


def most_values(weight: Tensor, group_size: int) -> int:
    """The largest number of different values in any group."""
    width = weight.shape[1] if group_size == -1 else group_size
    ordered = weight.reshape(-1, width).sort(1).values
    return int((ordered.diff(dim=1) != 0).sum(1).max()) + 1
