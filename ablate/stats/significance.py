"""p-values for changes of accuracy, and their adjustment where many are shown together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import gammaln

from ablate.stats.pairing import Floats, Ints

MOST_STATES = 2_000_000
"""Sums that the exact test may hold at once; beyond it, signs are drawn."""
DRAWS = 20_000
_SLACK = 1e-9


def sign_flip(d: Floats, seed: int = 0, draws: int = DRAWS) -> float | None:
    """Two-sided p-value of "the changes by problem [n] are as often up as down".

    The sum of the changes against its distribution when each keeps its size and gets a sign by
    chance (Fisher 1935; Good 2005). Exact where the sizes are few: for changes of ± 1 it is the
    exact McNemar test. Else ``draws`` seeded draws, with p = (1 + extreme) / (1 + draws).
    No problem: None; no change: 1.
    """
    if not d.size:
        return None
    sizes, counts = np.unique(np.round(np.abs(d[d != 0]), 12), return_counts=True)
    if not sizes.size:
        return 1.0
    observed = abs(float(d.sum())) - _SLACK
    exact = _exact_tail(sizes, counts, observed)
    return exact if exact is not None else _drawn_tail(sizes, counts, observed, seed, draws)


def _exact_tail(sizes: Floats, counts: Ints, observed: float) -> float | None:
    """P(|sum| ≥ observed), None where there are too many different sums."""
    sums: Floats = np.zeros(1)
    shares: Floats = np.ones(1)
    for size, count in zip(sizes, counts, strict=True):
        if sums.size * (count + 1) > MOST_STATES:
            return None
        ups = np.arange(count + 1)
        moved = np.round(sums[:, None] + size * (2 * ups - count), 9)
        weights = shares[:, None] * _fair_binomial(int(count))
        distinct, place = np.unique(moved, return_inverse=True)
        sums = distinct.astype(np.float64)
        shares = np.bincount(np.ravel(place), weights=np.ravel(weights)).astype(np.float64)
    return min(1.0, float(shares[np.abs(sums) >= observed].sum()))


def _fair_binomial(n: int) -> Floats:
    """Probabilities of 0 … n heads of a fair coin: [n + 1]."""
    k = np.arange(n + 1)
    logs = gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1) - n * np.log(2)
    shares: Floats = np.exp(logs) / np.exp(logs).sum()
    return shares


def _drawn_tail(sizes: Floats, counts: Ints, observed: float, seed: int, draws: int) -> float:
    rng = np.random.default_rng(seed)
    sums = np.zeros(draws)
    for size, count in zip(sizes, counts, strict=True):
        sums += size * (2.0 * rng.binomial(count, 0.5, size=draws) - count)
    return (1 + int((np.abs(sums) >= observed).sum())) / (1 + draws)


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """p-values adjusted over their family, in the order given; None stays None and counts not.

    The smallest is multiplied by their number m, the next by m - 1 …, never falling below one
    before it (Holm 1979). Rejecting those below 0.05 keeps the chance of any false alarm in the
    family under 5 %, however the comparisons depend on each other.
    """
    adjusted: list[float | None] = [None] * len(p_values)
    order = sorted((p, i) for i, p in enumerate(p_values) if p is not None)
    highest = 0.0
    for rank, (p, i) in enumerate(order):
        highest = max(highest, min(1.0, (len(order) - rank) * p))
        adjusted[i] = highest
    return adjusted
