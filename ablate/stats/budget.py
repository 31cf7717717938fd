"""The smallest token budget that is as good as any, and how sure that is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ablate.stats.pairing import Floats

RESAMPLES = 2_000
_SLACK = 1e-12


@dataclass(frozen=True)
class Knee:
    """``place``: of the knee among the budgets. ``sure``: share of resamples that agree.

    ``low`` and ``high``: places between which 95 % of the resamples have it.
    """

    place: int
    sure: float
    low: int
    high: int


def knee(scores: Floats, margin: float, seed: int = 0, resamples: int = RESAMPLES) -> Knee | None:
    """The first budget whose mean score is within ``margin`` of the best one's.

    ``scores``: [problems, budgets], budgets rising. A bootstrap over problems (Efron 1979) says how
    sure it is. None without problems.
    """
    if not scores.size:
        return None
    kinds, counts = np.unique(np.round(scores, 12), axis=0, return_counts=True)
    n = int(counts.sum())
    drawn = np.random.default_rng(seed).multinomial(n, counts / n, size=resamples)
    places = _first_good(drawn @ kinds / n, margin)
    place = int(_first_good(scores.mean(axis=0, keepdims=True), margin)[0])
    low, high = np.quantile(places, [0.025, 0.975], method="inverted_cdf")
    return Knee(place, float((places == place).mean()), int(low), int(high))


def _first_good(means: Floats, margin: float) -> np.ndarray[tuple[int], np.dtype[np.int_]]:
    """The place of the first mean of each row [r, budgets] that is good enough: [r]."""
    enough = means >= means.max(axis=1, keepdims=True) - margin - _SLACK
    return np.argmax(enough, axis=1)  # type: ignore[no-any-return]
