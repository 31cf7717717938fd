"""Ratios and differences of paired measurements, printed with their mean and its 95 % interval."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from scipy.stats import t


def print_ratios(name: str, pairs: Sequence[tuple[float, float]]) -> None:
    """One line: each pair's ratio, their geometric mean, and Student's interval on the logs."""
    logs = _logs(pairs)
    print(_line(name, [math.exp(x) for x in logs], *map(math.exp, _interval(logs))))


def print_differences(name: str, pairs: Sequence[tuple[float, float]]) -> None:
    """The same of what the first of each pair has more than the second."""
    found = [mine - other for mine, other in pairs]
    print(_line(name, found, *_interval(found)))


def cell(pairs: Sequence[tuple[float, float]]) -> str:
    """The mean ratio and its interval, for a cell of a table."""
    mean, *ends = map(math.exp, _interval(_logs(pairs)))
    return f"{mean:.2f}" + (f" [{ends[0]:.2f}, {ends[1]:.2f}]" if ends else "")


def _logs(pairs: Sequence[tuple[float, float]]) -> list[float]:
    return [math.log(mine / other) for mine, other in pairs]


def _interval(values: Sequence[float]) -> tuple[float, ...]:
    """Mean, low and high; the mean alone of a single value."""
    mean = statistics.fmean(values)
    if len(values) < 2:
        return (mean,)
    half = float(t.ppf(0.975, len(values) - 1)) * statistics.stdev(values) / len(values) ** 0.5
    return mean, mean - half, mean + half


def _line(name: str, each: Sequence[float], mean: float, *ends: float) -> str:
    interval = f" [{ends[0]:.3f}, {ends[1]:.3f}]" if ends else ""
    return f"{name}: {mean:.3f}{interval} (pairs: {' '.join(f'{x:.3f}' for x in each)})"
