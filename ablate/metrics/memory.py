"""The KV cache and the queue over time, from the engine's telemetry.

Each sample holds until the next, in means as in everything else here.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import numpy as np

from ablate.metrics.base import SEEN, Floats, Metric, Values, floats, ratio, time_mean
from ablate.types import Usage

NEARLY_FULL = 0.9
"""Share of the budget above which the next long answer makes others wait or start again."""
WINDOW = 1.0
"""Seconds within which a drop counts as sudden."""


def _held(name: str, unit: str, what: str) -> tuple[Metric, ...]:
    peak = Metric(f"peak_{name}", unit, "lower", f"largest sample of {what}")
    return peak, Metric(f"mean_{name}", unit, "lower", "mean over time of the same")


def _swings(name: str, unit: str, cv: bool) -> tuple[Metric, ...]:
    spread = Metric(f"std_{name}", unit, "lower", f"standard deviation over time of {name}", SEEN)
    share = Metric(f"cv_{name}", "ratio", "lower", f"std_{name} / mean_{name}", SEEN)
    drop = Metric(
        f"max_drop_{name}",
        unit,
        "lower",
        f"largest fall of {name} within {WINDOW:g} s",
        SEEN,
    )
    return (spread, share, drop) if cv else (spread, drop)


METRICS: tuple[Metric, ...] = (
    *_held("kv_tokens", "tokens", "tokens held in the KV cache"),
    *_swings("kv_tokens", "tokens", cv=True),
    *_held("kv_bytes", "bytes", "bytes that held tokens need"),
    *_swings("kv_bytes", "bytes", cv=True),
    *_held("kv_allocated_bytes", "bytes", "bytes reserved for KV"),
    Metric("peak_kv_cache_usage", "share", "lower", "largest kv_bytes / kv_budget_bytes"),
    Metric("mean_kv_cache_usage", "share", "lower", "mean over time of the same"),
    *_swings("kv_cache_usage", "share", cv=False),
    Metric(
        "kv_nearly_full_share",
        "share",
        "lower",
        f"share of the time in which kv_cache_usage is above {NEARLY_FULL:g}",
        SEEN,
    ),
    Metric("mean_running", "requests", "neither", "mean over time of requests being computed"),
    Metric("mean_waiting", "requests", "lower", "mean over time of requests in the queue"),
)


def memory_metrics(usage: Sequence[Usage]) -> Values:
    """KV cache and queue over time."""
    times = floats(u.time for u in usage)
    found: Values = {
        f"mean_{name}": time_mean(times, floats(getattr(u, name) for u in usage))
        for name in ("running", "waiting")
    }
    held = {
        name: [getattr(u, name) for u in usage]
        for name in ("kv_tokens", "kv_bytes", "kv_allocated_bytes")
    }
    held["kv_cache_usage"] = [ratio(u.kv_bytes, u.kv_budget_bytes) for u in usage]
    for name, samples in held.items():
        values = floats(() if None in samples else samples)
        if values.size:
            found |= _over_time(name, times, values)
        if name == "kv_cache_usage" and values.size:
            found["kv_nearly_full_share"] = time_mean(times, floats(values > NEARLY_FULL))
    return found


def _over_time(name: str, times: Floats, values: Floats) -> Values:
    mean = time_mean(times, values)
    variance = time_mean(times, (values - (mean or 0.0)) ** 2)
    spread = None if variance is None else float(np.sqrt(variance))
    return {
        f"peak_{name}": float(values.max()),
        f"mean_{name}": mean,
        f"std_{name}": spread,
        f"cv_{name}": ratio(spread, mean),
        f"max_drop_{name}": largest_drop(times, values),
    }


def largest_drop(times: Floats, values: Floats, window: float = WINDOW) -> float:
    """The most by which a held sample fell below one that held at most ``window`` seconds before.

    What held when the window began counts as in it, however long before it was sampled.
    """
    highest: deque[int] = deque()  # samples that may be the largest in the window, falling
    worst, start = 0.0, 0
    for now, value in enumerate(values):
        while highest and values[highest[-1]] <= value:
            highest.pop()
        highest.append(now)
        while start + 1 < now and times[start + 1] <= times[now] - window:
            start += 1
        while highest[0] < start:
            highest.popleft()
        worst = max(worst, float(values[highest[0]] - value))
    return worst
