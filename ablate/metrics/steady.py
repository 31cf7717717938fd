"""The part of a trial in which it is in balance, and whether it ever comes to one.

What is watched is the number of requests under way, from the first arrival that is possible (the
start of measuring) to the last: after that the system only empties.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

from ablate.metrics.adaptive import slope
from ablate.metrics.base import Floats, Metric, Values, floats, ratio
from ablate.metrics.tail import Tail
from ablate.metrics.times import latencies
from ablate.types import Record

BATCH = 5
BATCHES = 100
"""MSER-5 looks at means of 5 observations; so many of them are made of a trial."""
FEWEST = 20
"""Requests under which no balance can be told from chance."""
SKIPPED = 0.25
"""Share of the arrivals' time left out of the trend: every trial begins empty and fills up."""
POINTS = 20
SATURATED = 0.1
"""Over-saturated: more than this share of the requests that arrive pile up …"""
SURE = 0.01
"""… with a p-value of the trend below this."""

_MSER = "MSER-5: White 1997, Spratt 1998"
_WITHIN = "of the requests that arrive in the steady state"
METRICS: tuple[Metric, ...] = (
    Metric(
        "steady_start",
        "s",
        "neither",
        f"end of the warm-up transient: the d that makes the variance of the last n - d of "
        f"n = {BATCHES} observations / (n - d) least; an observation is the mean of {BATCH} even "
        "samples of the requests under way, up to the last arrival; null if d is n / 2 or more "
        f"(no balance), over-saturated, and under {FEWEST} requests",
        _MSER,
    ),
    Metric(
        "steady_end",
        "s",
        "neither",
        "the last arrival: then the drain begins; null as above",
        _MSER,
    ),
    Metric("steady_requests", "requests", "neither", f"number {_WITHIN}", _MSER),
    Metric("steady_mean_ttft_ms", "ms", "lower", f"mean TTFT {_WITHIN}", _MSER),
    Metric("steady_mean_tpot_ms", "ms", "lower", f"mean TPOT {_WITHIN}", _MSER),
    Metric("steady_mean_e2el_ms", "ms", "lower", f"mean E2E {_WITHIN}", _MSER),
    Metric(
        "steady_output_throughput",
        "tok/s",
        "higher",
        "tokens emitted from steady_start to steady_end / (steady_end - steady_start)",
        _MSER,
    ),
    Metric(
        "backlog_growth",
        "share",
        "lower",
        "Theil-Sen slope of the requests under way over time / arrivals per second: the share of "
        f"arriving requests that pile up; over the last {1 - SKIPPED:.0%} of the time in which "
        f"requests arrive, as {POINTS} means; over-saturated above {SATURATED:g}",
        "Theil 1950, Sen 1968",
    ),
    Metric(
        "backlog_trend_p",
        "p",
        "neither",
        f"p-value of that trend; over-saturation is noted below {SURE:g}",
        "Mann 1945, Kendall 1975",
    ),
)


class Window(NamedTuple):
    """Seconds from the start of measuring."""

    start: float
    end: float


def steady_metrics(records: Sequence[Record], tail: Tail) -> Values:
    """The steady state and what requests took in it, and whether requests pile up."""
    arrival = floats(r.completion.arrival for r in records)
    window = steady_of(arrival, tail)
    return trend(arrival, tail) | ({} if window is None else _within(records, window))


def steady_of(arrival: Floats, tail: Tail) -> Window | None:
    """From the end of the warm-up transient (MSER-5) to the last arrival.

    None if there is no balance, too few requests to tell, or if all arrive at the start.
    """
    grows = trend(arrival, tail)
    if not grows or oversaturated(grows):
        return None
    end = float(arrival.max())
    start = truncation(batch_means(tail.times, tail.running, 0.0, end, BATCHES, BATCH))
    return None if start is None else Window(start / BATCHES * end, end)


def batch_means(
    times: Floats, running: Floats, start: float, end: float, batches: int, each: int
) -> Floats:
    """Means of ``each`` even samples of a step function, ``batches`` of them in a row."""
    moments = start + (np.arange(batches * each) + 0.5) * (end - start) / (batches * each)
    place = np.searchsorted(times, moments, side="right") - 1
    values = np.where(place >= 0, running[place], 0.0)
    means: Floats = values.reshape(batches, each).mean(axis=1)
    return means


def truncation(observed: Floats) -> int | None:
    """How many first observations MSER leaves out, at most half; None if it would leave out more.

    Sought in the first half only: a few quiet observations near the end would win by chance.
    """
    n = observed.size
    scores = [float(observed[d:].var()) / (n - d) for d in range(n // 2 + 1)]
    best = int(np.argmin(scores))
    return best if best < n // 2 else None


def trend(arrival: Floats, tail: Tail) -> Values:
    """How the requests under way grow; empty with too few, or if all arrive at the start."""
    end = float(arrival.max(initial=0.0))
    if arrival.size < FEWEST or end <= 0:
        return {}
    means = batch_means(tail.times, tail.running, SKIPPED * end, end, POINTS, BATCH)
    if np.ptp(means) == 0:
        return {"backlog_growth": 0.0, "backlog_trend_p": 1.0}
    step = (1 - SKIPPED) * end / POINTS
    growth = slope(floats(i * step for i in range(POINTS)), means) or 0.0
    p = float(stats.kendalltau(np.arange(POINTS), means).pvalue)
    return {"backlog_growth": growth / (arrival.size / end), "backlog_trend_p": p}


def _within(records: Sequence[Record], window: Window) -> Values:
    start, end = window
    inside = [r for r in records if start <= r.completion.arrival <= end]
    samples = latencies(inside)
    means = {
        f"steady_mean_{name}_ms": ratio(float(samples[name].sum()) * 1e3, samples[name].size)
        for name in ("ttft", "tpot", "e2el")
    }
    emitted = sum(start < t <= end for r in records for t in r.completion.token_times)
    return means | {
        "steady_start": start,
        "steady_end": end,
        "steady_requests": len(inside),
        "steady_output_throughput": ratio(emitted, end - start),
    }


def oversaturated(values: Values) -> bool:
    """Whether requests under way grew through the trial: it gets more than it can serve."""
    growth, p = values.get("backlog_growth"), values.get("backlog_trend_p")
    return growth is not None and p is not None and growth > SATURATED and p < SURE
