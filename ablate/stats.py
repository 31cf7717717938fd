"""Estimates with their uncertainty. Pure; the formulas are explained in docs/explanation.

Two designs, never mixed:

* *Accuracy* is paired by problem. Problems are the independent units ("clusters"); samples and
  blocks of one problem are averaged first (Miller 2024, arXiv 2411.00640).
* *Speed* is paired by block. Runs are the independent units; the requests of one run share a
  queue and a machine and are no repetitions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import exp, log, sqrt

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, stats

from ablate.types import Record

Floats = NDArray[np.float64]
Key = tuple[str, str, int]
"""(domain, problem id, sample): what is paired between two arms."""

CONFIDENCE = 0.95
RESAMPLES = 10_000
MIN_CHANGED = 10
"""Problems that must differ from the most common change before the bootstrap is believed."""


@dataclass(frozen=True)
class Estimate:
    """A number with its 95 % confidence interval.

    ``n`` counts the independent units (problems, blocks). ``value`` is None when there are none,
    ``low`` and ``high`` when an interval cannot be had. ``method`` names how they were computed.
    """

    value: float | None
    low: float | None
    high: float | None
    n: int
    method: str


@dataclass(frozen=True)
class Pairs:
    """Scores of two arms on the same problems, one entry a problem: shapes [n].

    A score is the share of right answers over those samples that both arms gave.
    ``missing_in_arm`` counts problems with at least one answer that only the baseline has,
    ``missing_in_baseline`` the other way round.
    """

    arm: Floats
    baseline: Floats
    missing_in_arm: int
    missing_in_baseline: int

    @property
    def differences(self) -> Floats:
        # Rounded: shares such as 1/3 + 2/3 must not make equal differences look distinct.
        return np.round(self.arm - self.baseline, 12)

    @property
    def better(self) -> int:
        """Problems answered right more often with the arm (wrong -> right)."""
        return int((self.differences > 0).sum())

    @property
    def worse(self) -> int:
        """Problems answered right less often with the arm (right -> wrong)."""
        return int((self.differences < 0).sum())


def scores(records: Iterable[Record]) -> dict[Key, float]:
    """Share of right answers by problem and sample, averaged over the blocks given."""
    found: dict[Key, list[int]] = {}
    for r in records:
        tally = found.setdefault((r.domain, r.problem_id, r.sample), [0, 0])
        tally[0] += r.correct
        tally[1] += 1
    return {key: right / asked for key, (right, asked) in found.items()}


def pair(arm: Mapping[Key, float], baseline: Mapping[Key, float]) -> Pairs:
    """Match two arms' scores by key, then average over samples within each problem."""
    sums: dict[tuple[str, str], list[float]] = {}
    for key, ours in arm.items():
        if (theirs := baseline.get(key)) is not None:
            problem = sums.setdefault(key[:2], [0, 0, 0])
            problem[0] += ours
            problem[1] += theirs
            problem[2] += 1
    order = sorted(sums)
    return Pairs(
        _array(sums[p][0] / sums[p][2] for p in order),
        _array(sums[p][1] / sums[p][2] for p in order),
        len({key[:2] for key in baseline if key not in arm}),
        len({key[:2] for key in arm if key not in baseline}),
    )


def accuracy(values: Mapping[Key, float]) -> Estimate:
    """An arm's accuracy: mean over problems, Wilson interval with n = problems.

    ``(p + z²/2n ± z √(p(1-p)/n + z²/4n²)) / (1 + z²/n)`` (Wilson 1927). With several answers a
    problem it is a little too wide, never too narrow, since n does not count them.
    """
    problems = pair(values, values).arm
    n = problems.size
    method = "Wilson"
    if not n:
        return Estimate(None, None, None, 0, method)
    p = float(problems.mean())
    z2 = _z() ** 2
    middle, half = p + z2 / (2 * n), sqrt(z2 * (p * (1 - p) / n + z2 / (4 * n * n)))
    low, high = ((middle + side * half) / (1 + z2 / n) for side in (-1, 1))
    return Estimate(p, min(max(low, 0.0), p), max(min(high, 1.0), p), n, method)


def accuracy_difference(pairs: Pairs, seed: int = 0, resamples: int = RESAMPLES) -> Estimate:
    """Mean over problems of (arm - baseline), in shares of one, with a 95 % interval.

    A bootstrap over problems where at least ``MIN_CHANGED`` problems differ from the most common
    change; else Tango's score interval, since resampling what hardly varies gives intervals that
    are far too narrow (none changed: width zero).
    """
    d = pairs.differences
    if not d.size:
        return Estimate(None, None, None, 0, "none: no problem in common")
    values, counts = np.unique(d, return_counts=True)
    mean = float(d.mean())
    if d.size - counts.max() < MIN_CHANGED:
        low, high = tango_interval(d.size, float(-d[d < 0].sum()), float(d[d > 0].sum()))
        method = "Tango score"
    else:
        low, high = _bootstrap(values, counts, seed, resamples)
        method = "bootstrap over problems"
    return Estimate(mean, min(low, mean), max(high, mean), d.size, method)


def _bootstrap(
    values: Floats, counts: NDArray[np.int_], seed: int, resamples: int
) -> tuple[float, float]:
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
    reach = sqrt(n / (n - 1)) * float(stats.t.ppf((1 + CONFIDENCE) / 2, n - 1))
    tail = float(stats.norm.cdf(-reach))
    low, high = np.quantile(means, [tail, 1 - tail])
    return float(low), float(high)


def tango_interval(n: int, worse: float, better: float) -> tuple[float, float]:
    """Score interval for a paired difference of proportions, (better - worse) / n.

    The differences that a score test at 95 % does not reject, with the nuisance parameter at its
    constrained maximum likelihood (Tango 1998, Statistics in Medicine 17:891-908). Nothing
    changed gives ± z²/(n + z²). Fractional changes of a problem may be summed; that overstates
    their variance and so errs on the wide side.
    """
    z = _z()
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


def mcnemar(pairs: Pairs) -> float | None:
    """Two-sided exact p-value: are changes for the better and for the worse equally likely?

    Binomial test of ``better`` out of ``better + worse`` at one half (McNemar 1947). With several
    answers a problem it is the sign test over problems. No change at all gives 1; no problem, None.
    """
    if not pairs.arm.size:
        return None
    changed = pairs.better + pairs.worse
    return float(stats.binomtest(pairs.better, changed).pvalue) if changed else 1.0


def ratio(arm: Sequence[float | None], baseline: Sequence[float | None]) -> Estimate:
    """arm / baseline for a positive metric, both given by block in the same order.

    ``exp(mean(log(arm/baseline)))`` with a t interval of the logs over blocks. Blocks in which
    either number is missing or zero are left out; under two blocks there is no interval.
    """
    logs = [log(a / b) for a, b in zip(arm, baseline, strict=True) if a and b]
    n = len(logs)
    if not n:
        return Estimate(None, None, None, 0, "none: no block in common")
    mean = sum(logs) / n
    if n < 2:
        return Estimate(exp(mean), None, None, n, "one block, no interval")
    t = float(stats.t.ppf((1 + CONFIDENCE) / 2, n - 1))
    half = t * float(np.std(logs, ddof=1)) / sqrt(n)
    return Estimate(exp(mean), exp(mean - half), exp(mean + half), n, "t over blocks, log scale")


def _z() -> float:
    return float(stats.norm.ppf((1 + CONFIDENCE) / 2))


def _array(values: Iterable[float]) -> Floats:
    return np.fromiter(values, dtype=np.float64)
