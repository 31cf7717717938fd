"""Tango's score interval for a paired difference of proportions."""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt

import numpy as np
from scipy import optimize

from ablate.stats.estimate import z_quantile


def tango_interval(n: int, worse: float, better: float) -> tuple[float, float]:
    """Score interval for a paired difference of proportions, (better - worse) / n.

    The differences that a score test at 95 % does not reject, with the nuisance parameter at its
    constrained maximum likelihood (Tango 1998, Statistics in Medicine 17:891-908). Nothing
    changed gives ± z²/(n + z²). Fractional changes of a problem may be summed; that overstates
    their variance and so errs on the wide side.
    """
    z = z_quantile()
    score = _tango_score(n, worse, better)
    observed = (better - worse) / n
    low = _root(lambda t: score(t) - z, -1.0, observed)
    high = _root(lambda t: score(t) + z, observed, 1.0)
    return low, high


def _tango_score(n: int, worse: float, better: float) -> Callable[[float], float]:
    def score(t: float) -> float:
        b = (2 * n - better + worse) * t - worse - better
        c = -worse * t * (1 - t)
        q = (sqrt(max(b * b - 8 * n * c, 0.0)) - b) / (4 * n)
        variance = n * (2 * q + t * (1 - t))
        distance = better - worse - n * t
        return distance / sqrt(variance) if variance > 0 else distance * np.inf

    return score


def _root(f: Callable[[float], float], low: float, high: float) -> float:
    """Where f, which falls, crosses zero; the bound itself where it does not cross inside."""
    edge = 1e-12
    low, high = low + edge, high - edge
    if low >= high or f(low) <= 0:
        return round(low, 9)
    if f(high) >= 0:
        return round(high, 9)
    return float(optimize.brentq(f, low, high, xtol=1e-12))
