"""Muon for the matrices, AdamW for embeddings and norms, one learning-rate schedule for both."""

from __future__ import annotations

import math

from torch import nn, optim

WARM_UP = 0.02
MATRIX_RATE = 0.01
OTHER_RATE = 0.002


def optimizers(model: nn.Module) -> list[optim.Optimizer]:
    """Two optimizers that share out the parameters; each remembers its peak rate."""
    matrices: list[nn.Parameter] = []
    others: list[nn.Parameter] = []
    for name, parameter in model.named_parameters():
        (matrices if parameter.ndim == 2 and "embed" not in name else others).append(parameter)
    made: list[optim.Optimizer] = [
        optim.Muon(matrices, lr=MATRIX_RATE, momentum=0.95, weight_decay=0.01),
        optim.AdamW(others, lr=OTHER_RATE, betas=(0.9, 0.98), weight_decay=0.0),
    ]
    for optimizer in made:
        for group in optimizer.param_groups:
            group["peak"] = group["lr"]
    return made


def schedule(progress: float) -> float:
    """The share of the peak rate at ``progress``, 0 to 1: a warm-up, then half a cosine to 0."""
    if progress < WARM_UP:
        return max(progress / WARM_UP, 0.01)
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (progress - WARM_UP) / (1 - WARM_UP))))


def set_rate(made: list[optim.Optimizer], share: float) -> None:
    for optimizer in made:
        for group in optimizer.param_groups:
            group["lr"] = group["peak"] * share
