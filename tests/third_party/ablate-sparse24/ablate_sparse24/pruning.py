"""Setting weights to zero, and counting the zeros."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import Any

import torch
from ablate.errors import TrialError
from ablate.quantization.linears import plain_linears
from torch import Tensor

GROUP = 4  # neighbours along a row, the dimension that a matrix product sums over


def two_of_four(weight: Tensor) -> Tensor:
    """The weight with the two smallest of every four neighbours zero; of equals the first stay."""
    groups = weight.reshape(-1, GROUP)
    order = groups.abs().float().argsort(dim=1, descending=True, stable=True)
    return groups.scatter(1, order[:, 2:], 0).reshape(weight.shape)


def smallest(weight: Tensor, share: float) -> Tensor:
    """The weight with a ``share`` of its entries zero (rounded up), the smallest ones."""
    size = weight.abs().float().flatten()
    drop = size.argsort(stable=True)[: ceil(share * len(size))]
    return weight.flatten().index_fill(0, drop, 0).reshape(weight.shape)


@torch.no_grad()
def prune(model: Any, share: float | None) -> None:
    """Prune every linear layer but the output layer in place, each by itself.

    ``share``: of zeros; None: 2:4. Raises TrialError for rows that fours do not fill.
    """
    for name, layer in plain_linears(model).items():
        if share is None and layer.weight.shape[1] % GROUP:
            raise TrialError(
                f"2:4 pruning needs rows of a multiple of {GROUP} weights, and {name} has "
                f"{layer.weight.shape[1]}: give a share instead"
            )
        layer.weight.copy_(
            two_of_four(layer.weight) if share is None else smallest(layer.weight, share)
        )


@dataclass(frozen=True)
class Counts:
    """What was counted in a model's linear layers, each a share."""

    zeros: float  # of the weights
    groups: float  # of the groups of four with two zeros or more; 0 where there is none

    def __str__(self) -> str:
        return f"{self.zeros:.1%} of the weights in linear layers are zero"


def count(model: Any) -> Counts:
    """Look at every linear layer but the output layer as it is."""
    weights = [layer.weight for layer in plain_linears(model).values()]
    zeros = sum(int((weight == 0).sum()) for weight in weights)
    full = sum(_full_groups(weight) for weight in weights)
    size = max(sum(weight.numel() for weight in weights), 1)
    return Counts(zeros / size, full * GROUP / size)


def _full_groups(weight: Tensor) -> int:
    """Groups of four with two zeros or more; rows that fours do not fill have none."""
    if weight.shape[1] % GROUP:
        return 0
    return int(((weight.reshape(-1, GROUP) == 0).sum(dim=1) >= 2).sum())
