"""Ratios of positive quantities, measured once a block (or once a run).

Logs, because "twice as fast" and "half as fast" should be equally far from no change. Blocks are
the independent units; the requests of one run share a queue and a machine and are none.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, log, sqrt

import numpy as np
from scipy import special

from ablate.stats.estimate import Estimate, t_quantile
from ablate.stats.pairing import Floats

EXACT = 1e-12
"""Logs that differ by no more are equal: a deterministic quantity, such as the weights' bytes."""


def ratio(arm: Sequence[float | None], baseline: Sequence[float | None]) -> Estimate:
    """arm / baseline for a positive metric, both given by block in the same order.

    Blocks in which either number is missing or zero are left out.
    """
    return ratio_of_logs([log(a / b) for a, b in zip(arm, baseline, strict=True) if a and b])


def ratio_of_logs(logs: Sequence[float], unit: str = "block") -> Estimate:
    """exp(mean) of log ratios, one a ``unit``, with a t interval of the logs over units.

    Under two units there is no interval.
    """
    n = len(logs)
    if not n:
        return Estimate(None, None, None, 0, f"none: no {unit} in common")
    mean = sum(logs) / n
    if n < 2:
        return Estimate(exp(mean), None, None, n, f"one {unit}, no interval")
    half = t_quantile(n - 1) * spread(logs) / sqrt(n)
    return Estimate(exp(mean), exp(mean - half), exp(mean + half), n, f"t over {unit}s, log scale")


def spread(logs: Sequence[float]) -> float:
    """Standard deviation over blocks; 0 for one block or where all are the same number."""
    deviation = float(np.std(logs, ddof=1)) if len(logs) > 1 else 0.0
    return deviation if deviation > EXACT else 0.0


def ratio_p(logs: Sequence[float]) -> float | None:
    """Two-sided p-value of a t test of "the mean log ratio is zero"; None under two blocks.

    A quantity that is the same in every block is not random: p is 0 if it changed, else 1.
    """
    n = len(logs)
    if n < 2:
        return None
    mean, deviation = sum(logs) / n, spread(logs)
    if not deviation:
        return 0.0 if abs(mean) > EXACT else 1.0
    return float(2 * special.stdtr(n - 1, -abs(mean) * sqrt(n) / deviation))


def unpaired_ratio(arm: Sequence[float], baseline: Sequence[float]) -> Estimate:
    """arm / baseline where the blocks of the two were not run side by side.

    Welch's t interval of the difference of mean logs (Welch 1947).
    """
    x, y = (np.log(np.asarray(side, dtype=np.float64)) for side in (arm, baseline))
    n = min(x.size, y.size)
    if not n:
        return Estimate(None, None, None, 0, "none: one side has no block")
    mean = float(x.mean() - y.mean())
    if n < 2:
        return Estimate(exp(mean), None, None, n, "one block, no interval")
    half = _welch_half(x, y)
    return Estimate(exp(mean), exp(mean - half), exp(mean + half), n, "Welch t, log scale")


def _welch_half(x: Floats, y: Floats) -> float:
    vx, vy = (float(side.var(ddof=1)) / side.size for side in (x, y))
    if vx + vy <= EXACT**2:
        return 0.0
    degrees = (vx + vy) ** 2 / (vx**2 / (x.size - 1) + vy**2 / (y.size - 1))
    return t_quantile(degrees) * sqrt(vx + vy)


def by_request(arm: Floats, baseline: Floats) -> float | None:
    """Mean log ratio over the requests of one block that both arms answered; None without any.

    Latencies in seconds, matched: [requests]. It is one number a block, because the requests of a
    block are no independent repetitions.
    """
    both = (arm > 0) & (baseline > 0)
    return float(np.log(arm[both] / baseline[both]).mean()) if both.any() else None
