"""What a recipe can detect, told before any compute is spent. No numerics beyond the stdlib."""

from __future__ import annotations

from collections.abc import Mapping
from math import sqrt
from statistics import NormalDist

from ablate.planning import Plan

POWER = 0.80
CONFIDENCE = 0.95
DISCORDANCE = 0.06
"""Share of problems whose answer changes between two arms, if no more are lost: an assumption."""


def detectable_loss(problems: int, discordance: float = DISCORDANCE) -> float | None:
    """The smallest loss of accuracy, a share, that a paired test finds with 80 % power.

    Solves ``n d² = (z₀.₉₇₅ √q + z₀.₈₀ √(q - d²))²`` for d, with q, the share of problems that
    change, no smaller than d (Miettinen 1968, Biometrics 24:339-352). None if not even the loss
    of every answer would be found.
    """
    if problems < 1 or not _found(problems, 1.0, discordance):
        return None
    low, high = 0.0, 1.0
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (low, middle) if _found(problems, middle, discordance) else (middle, high)
    return high


def _found(problems: int, loss: float, discordance: float) -> bool:
    changed = max(discordance, loss)
    chance, miss = NormalDist().inv_cdf((1 + CONFIDENCE) / 2), NormalDist().inv_cdf(POWER)
    needed = chance * sqrt(changed) + miss * sqrt(changed - loss**2)
    return sqrt(problems) * loss >= needed


def detectable(plan: Plan) -> Mapping[str, tuple[int, float | None]]:
    """Domain -> (its problems, the loss that can be found); several domains also together."""
    counts = {name: len(some) for name, some in plan.arms[0].asked.items()}
    if len(counts) > 1:
        counts["all"] = sum(counts.values())
    return {name: (n, detectable_loss(n)) for name, n in counts.items()}
