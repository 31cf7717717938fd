"""Ratios of paired measurements, printed with their geometric mean and its 95 % interval."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from scipy.stats import t


def print_ratios(name: str, pairs: Sequence[tuple[float, float]]) -> None:
    """One line: each pair's ratio, their geometric mean, and Student's interval on the logs."""
    logs = [math.log(mine / other) for mine, other in pairs]
    mean = statistics.fmean(logs)
    text = " ".join(f"{math.exp(x):.3f}" for x in logs)
    if len(logs) < 2:
        print(f"{name}: {text}")
        return
    half = float(t.ppf(0.975, len(logs) - 1)) * statistics.stdev(logs) / math.sqrt(len(logs))
    low, high = math.exp(mean - half), math.exp(mean + half)
    print(f"{name}: {math.exp(mean):.3f} [{low:.3f}, {high:.3f}] (pairs: {text})")
