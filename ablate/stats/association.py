"""How one quantity follows another, with its interval. Problems are the independent units."""

from __future__ import annotations

from math import atanh, ceil, floor, sqrt, tanh

import numpy as np
from scipy import stats

from ablate.stats.estimate import Estimate, z_quantile
from ablate.stats.pairing import Floats

MOST_PAIRED = 1_000
"""Problems whose slopes are taken pair by pair; of more, an even choice."""
FEWEST = 4


def spearman(x: Floats, y: Floats) -> Estimate:
    """Spearman's rank correlation of [n] and [n], interval after Bonett & Wright 2000.

    ``tanh(atanh(r) ± z √((1 + r²/2) / (n - 3)))``. No value under four problems and where either is
    the same everywhere; no interval where the order is perfect.
    """
    n = x.size
    if n < FEWEST or not np.ptp(x) or not np.ptp(y):
        return Estimate(None, None, None, n, "none: nothing to rank")
    r = float(np.corrcoef(stats.rankdata(x), stats.rankdata(y))[0, 1])
    if abs(r) > 1 - 1e-9:
        return Estimate(round(r), None, None, n, "a perfect order, no interval")
    half = z_quantile() * sqrt((1 + r * r / 2) / (n - 3))
    return Estimate(r, tanh(atanh(r) - half), tanh(atanh(r) + half), n, "Fisher z, Bonett-Wright")


def theil_sen(x: Floats, y: Floats) -> Estimate:
    """The median slope over all pairs of unlike ``x`` [n] (Theil 1950), with Sen's interval (1968).

    Unlike a least-squares line it stays in place where a few ``y`` are far out: up to 29 % of them.
    The interval holds the slopes that Kendall's test of no trend in what they leave over does not
    reject, its variance with ties in both (Kendall 1975); there is none where ``y`` never varies.
    """
    n = x.size
    if n > MOST_PAIRED:
        even = np.linspace(0, n - 1, MOST_PAIRED).astype(np.int_)
        kept = np.argsort(x, kind="stable")[even]
        x, y = x[kept], y[kept]
    if n < FEWEST or not np.ptp(x):
        return Estimate(None, None, None, n, "none: one level only")
    if not np.ptp(y):
        return Estimate(0.0, None, None, n, "all the same, no interval")
    rows, columns = np.nonzero(x[:, None] > x[None, :])
    slopes = np.sort((y[rows] - y[columns]) / (x[rows] - x[columns]))
    half = z_quantile() * sqrt(_kendall_variance(x, y)) / 2
    low = max(floor(slopes.size / 2 - half), 0)
    high = min(ceil(slopes.size / 2 + half), slopes.size - 1)
    middle = float(np.median(slopes))
    return Estimate(middle, float(slopes[low]), float(slopes[high]), n, "Theil-Sen")


def _kendall_variance(x: Floats, y: Floats) -> float:
    """Of concordant minus discordant pairs, where ``x`` says nothing of ``y``."""
    n = x.size
    t, u = (np.unique(v, return_counts=True)[1].astype(np.float64) for v in (x, y))

    def lost(ties: Floats) -> float:
        return float((ties * (ties - 1) * (2 * ties + 5)).sum())

    def twos(ties: Floats) -> float:
        return float((ties * (ties - 1)).sum())

    def threes(ties: Floats) -> float:
        return float((ties * (ties - 1) * (ties - 2)).sum())

    free = (n * (n - 1) * (2 * n + 5) - lost(t) - lost(u)) / 18
    both = twos(t) * twos(u) / (2 * n * (n - 1))
    variance = free + both + threes(t) * threes(u) / (9 * n * (n - 1) * (n - 2))
    return max(variance, 0.0)  # rounding may leave a little less than nothing
