"""Which arms are best for some weighing of accuracy against efficiency."""

from __future__ import annotations

from collections.abc import Mapping
from math import log


def dominators(points: Mapping[str, tuple[float, float]]) -> dict[str, str | None]:
    """For each arm the arm on the Pareto front that dominates it, None for those on the front.

    ``points``: arm -> (accuracy, efficiency), both positive and up is better. One arm dominates
    another if it is as good in both and better in one. Of several, the one that leads most is
    named: by accuracy in shares plus efficiency as a log ratio.
    """
    beaten = {
        arm: [other for other in points if _beats(points[other], p)] for arm, p in points.items()
    }
    return {
        arm: max((o for o in by if not beaten[o]), key=lambda o: _lead(points[o], points[arm]))
        if by
        else None
        for arm, by in beaten.items()
    }


def _beats(one: tuple[float, float], other: tuple[float, float]) -> bool:
    return one != other and one[0] >= other[0] and one[1] >= other[1]


def _lead(one: tuple[float, float], other: tuple[float, float]) -> float:
    return one[0] - other[0] + log(one[1] / other[1])
