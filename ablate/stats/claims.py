"""Whether measurements support a statement that was made before them.

A statement is supported where its 95 % interval lies wholly on its side, refuted where the interval
lies wholly on the other, and undecided otherwise. Statements are made beforehand, one by one, so
they are tested one by one, without an adjustment for how many a recipe makes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from ablate.stats.verdict import Effect

Answer = Literal["supported", "refuted", "undecided"]


def above(effect: Effect, bound: float, band: float = 0.0) -> Answer:
    """Is the effect (up: as claimed) more than ``bound``?

    An effect that the baseline also shows against itself supports nothing. One that lies within
    ± ``band`` of no change for sure refutes a claim of more than nothing.
    """
    low, high = _ends(effect)
    if low is None or high is None:
        return "undecided"
    if low > bound and not (effect.within_noise and bound >= 0):
        return "supported"
    if high <= bound or (bound >= 0 and -band < low and high < band):
        return "refuted"
    return "undecided"


def non_inferior(effect: Effect, margin: float) -> Answer:
    """Is a loss of more than ``margin`` ruled out (supported), or shown (refuted)?"""
    low, high = _ends(effect)
    if low is None or high is None:
        return "undecided"
    if low >= -margin:
        return "supported"
    return "refuted" if high < -margin and not effect.within_noise else "undecided"


def equivalent(effect: Effect, band: float) -> Answer:
    """Is the effect within ± ``band``?"""
    low, high = _ends(effect)
    if low is None or high is None:
        return "undecided"
    if -band <= low and high <= band:
        return "supported"
    apart = (low > band or high < -band) and not effect.within_noise
    return "refuted" if apart else "undecided"


def all_of(answers: Sequence[Answer]) -> Answer:
    """A claim about every domain: refuted by one, supported by all."""
    if "refuted" in answers:
        return "refuted"
    return "supported" if answers and set(answers) == {"supported"} else "undecided"


def _ends(effect: Effect) -> tuple[float | None, float | None]:
    return (effect.value, effect.value) if effect.exact else (effect.low, effect.high)
