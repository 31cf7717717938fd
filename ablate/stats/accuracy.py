"""Accuracy of one arm, and the change of accuracy between arms, paired by problem.

Problems are the independent units ("clusters"); samples and blocks of one problem are averaged
first (Miller 2024, *Adding Error Bars to Evals*, arXiv 2411.00640).
"""

from __future__ import annotations

from collections.abc import Mapping
from math import sqrt

import numpy as np
from scipy import special, stats

from ablate.stats.estimate import Estimate, t_quantile, z_quantile
from ablate.stats.pairing import Floats, Ints, Key, Pairs, pair
from ablate.stats.tango import tango_interval

RESAMPLES = 10_000
MIN_CHANGED = 10
"""Problems that must differ from the most common change before the bootstrap is believed."""


def accuracy(values: Mapping[Key, float]) -> Estimate:
    """An arm's accuracy from its scores by key, see ``wilson``."""
    return wilson(pair(values, values).arm)


def wilson(problems: Floats) -> Estimate:
    """Mean of shares [n] of right answers, Wilson interval with n = problems.

    ``(p + z²/2n ± z √(p(1-p)/n + z²/4n²)) / (1 + z²/n)`` (Wilson 1927). With several answers a
    problem it is a little too wide, never too narrow, since n does not count them.
    """
    n = problems.size
    if not n:
        return Estimate(None, None, None, 0, "Wilson")
    p = float(problems.mean())
    z2 = z_quantile() ** 2
    middle, half = p + z2 / (2 * n), sqrt(z2 * (p * (1 - p) / n + z2 / (4 * n * n)))
    low, high = ((middle + side * half) / (1 + z2 / n) for side in (-1, 1))
    return Estimate(p, min(max(low, 0.0), p), max(min(high, 1.0), p), n, "Wilson")


def accuracy_difference(pairs: Pairs, seed: int = 0, resamples: int = RESAMPLES) -> Estimate:
    """Mean over problems of (arm - baseline), in shares of one, with a 95 % interval."""
    return mean_change(pairs.differences, seed=seed, resamples=resamples)


def mean_change(
    d: Floats, reach: float = 1.0, seed: int = 0, resamples: int = RESAMPLES
) -> Estimate:
    """Mean of changes by problem [n], each within ± ``reach``, with a 95 % interval.

    A bootstrap over problems where at least ``MIN_CHANGED`` problems differ from the most common
    change; else Tango's score interval, since resampling what hardly varies gives intervals that
    are far too narrow (none changed: width zero).
    """
    if not d.size:
        return Estimate(None, None, None, 0, "none: no problem in common")
    values, counts = np.unique(d, return_counts=True)
    mean = float(d.mean())
    if d.size - counts.max() < MIN_CHANGED:
        worse, better = -d[d < 0].sum() / reach, d[d > 0].sum() / reach
        low, high = (reach * end for end in tango_interval(d.size, float(worse), float(better)))
        method = "Tango score"
    else:
        low, high = _bootstrap(values, counts, seed, resamples)
        method = "bootstrap over problems"
    return Estimate(mean, min(low, mean), max(high, mean), d.size, method)


def _bootstrap(values: Floats, counts: Ints, seed: int, resamples: int) -> tuple[float, float]:
    """Percentile interval of the mean of resampled problems.

    Drawing n problems with replacement and counting the distinct differences is one multinomial
    draw, so the cost does not grow with n. The percentiles are spread by t and √(n/(n-1)) as a
    t interval is against a normal one (the expanded percentile interval, Hesterberg 2015).
    """
    n = int(counts.sum())
    if counts @ values < 0:  # so that swapping the arms gives the mirrored interval
        low, high = _bootstrap(-values[::-1], counts[::-1], seed, resamples)
        return -high, -low
    rng = np.random.default_rng(seed)
    means = rng.multinomial(n, counts / n, size=resamples) @ values / n
    tail = float(special.ndtr(-sqrt(n / (n - 1)) * t_quantile(n - 1)))
    low, high = np.quantile(means, [tail, 1 - tail])
    return float(low), float(high)


def mcnemar(pairs: Pairs) -> float | None:
    """Two-sided exact p-value: are changes for the better and for the worse equally likely?

    Binomial test of ``better`` out of ``better + worse`` at one half (McNemar 1947). With several
    answers a problem it is the sign test over problems. No change at all gives 1; no problem, None.
    """
    if not pairs.arm.size:
        return None
    changed = pairs.better + pairs.worse
    return float(stats.binomtest(pairs.better, changed).pvalue) if changed else 1.0
