"""A number with its interval, and the quantiles behind the intervals."""

from __future__ import annotations

from dataclasses import dataclass

from scipy import special

CONFIDENCE = 0.95


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


def z_quantile(share: float = (1 + CONFIDENCE) / 2) -> float:
    """The standard normal quantile."""
    return float(special.ndtri(share))


def t_quantile(degrees: float, share: float = (1 + CONFIDENCE) / 2) -> float:
    """Student's t quantile."""
    return float(special.stdtrit(degrees, share))
