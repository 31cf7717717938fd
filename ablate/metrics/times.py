"""How long requests took.

Latencies count from the *scheduled* arrival: counting from the moment of sending would hide the
queue that a slow server builds up in its client ("coordinated omission", Tene 2015).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain

import numpy as np

from ablate.metrics.base import SEEN, SERVE, STUDY, Floats, Metric, Values, floats, ratio
from ablate.types import Completion, Record

MIN_SAMPLES: Mapping[int, int] = {50: 13, 90: 64, 99: 660}
"""Percentile -> samples below which it is None: about 6.5 samples must lie beyond it."""


def _family(name: str, formula: str, source: str) -> tuple[Metric, ...]:
    """The mean and the percentiles of one latency."""
    mean = Metric(f"mean_{name}_ms", "ms", "lower", f"mean of: {formula}", source, per_domain=True)
    return mean, *(
        Metric(
            f"p{p}_{name}_ms",
            "ms",
            "lower",
            f"{p}th percentile of the same; null under {n} samples",
            source,
            per_domain=True,
        )
        for p, n in MIN_SAMPLES.items()
    )


METRICS: tuple[Metric, ...] = (
    *_family("ttft", "first token - arrival", SERVE),
    *_family("ttfvt", "first visible token (after the reasoning) - arrival", STUDY),
    *_family("tpot", "(E2E - TTFT) / (output tokens - 1), from two tokens on", SERVE),
    *_family(
        "itl",
        "gaps between successive emissions, pooled over requests; tokens that one step "
        "emits together (speculative decoding) are one emission",
        SERVE,
    ),
    *_family("e2el", "finished - arrival", SERVE),
    Metric(
        "cv_e2el",
        "ratio",
        "lower",
        "standard deviation / mean of E2E",
        SEEN,
        per_domain=True,
    ),
    Metric(
        "p99_p50_e2el",
        "ratio",
        "lower",
        f"p99 / p50 of E2E; null under {MIN_SAMPLES[99]} samples",
        "Dean & Barroso 2013, The Tail at Scale",
        per_domain=True,
    ),
    Metric(
        "max_dispatch_lateness_ms",
        "ms",
        "lower",
        "largest (dispatched - arrival): how far the client fell behind its schedule",
    ),
)


def latency_metrics(samples: Mapping[str, Floats]) -> Values:
    """Mean and percentiles of ``latencies``, in milliseconds, and how uneven E2E is."""
    found: Values = {}
    for name, seconds in samples.items():
        found[f"mean_{name}_ms"] = float(seconds.mean()) * 1e3 if seconds.size else None
        wanted = [p for p, least in MIN_SAMPLES.items() if seconds.size >= least]
        known = dict(zip(wanted, np.percentile(seconds, wanted), strict=True)) if wanted else {}
        for p in MIN_SAMPLES:
            found[f"p{p}_{name}_ms"] = float(known[p]) * 1e3 if p in known else None
    whole = samples["e2el"]
    return found | {
        "cv_e2el": ratio(float(whole.std()), float(whole.mean())) if whole.size > 1 else None,
        "p99_p50_e2el": ratio(found["p99_e2el_ms"], found["p50_e2el_ms"]),
    }


def lateness(records: Sequence[Record]) -> Values:
    late = floats(r.completion.dispatched - r.completion.arrival for r in records)
    return {"max_dispatch_lateness_ms": float(late.max()) * 1e3 if late.size else None}


def pooled(parts: Sequence[Mapping[str, Floats]]) -> dict[str, Floats]:
    """The latencies of several domains together."""
    if not parts:
        return latencies(())
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def latencies(records: Sequence[Record]) -> dict[str, Floats]:
    """The samples behind the latency metrics, in seconds: one a request, but ITL one a gap."""
    done = [r.completion for r in records]
    some = [c for c in done if c.token_times]
    more = [c for c in some if c.output_tokens > 1]
    return {
        "ttft": floats(c.token_times[0] - c.arrival for c in some),
        "ttfvt": floats(c.first_visible - c.arrival for c in done if c.first_visible is not None),
        "tpot": floats((c.finished - c.token_times[0]) / (c.output_tokens - 1) for c in more),
        "itl": _gaps([c.token_times for c in some]),
        "e2el": floats(c.finished - c.arrival for c in done),
    }


def latency(name: str, done: Completion) -> float | None:
    """One request's ``ttft``, ``ttfvt``, ``tpot`` or ``e2el`` in seconds, None if it has none."""
    if name == "e2el":
        return done.finished - done.arrival
    if name == "ttfvt":
        return None if done.first_visible is None else done.first_visible - done.arrival
    if not done.token_times:
        return None
    if name == "ttft":
        return done.token_times[0] - done.arrival
    gaps = done.output_tokens - 1
    return (done.finished - done.token_times[0]) / gaps if gaps > 0 else None


def _gaps(times: Sequence[Sequence[float]]) -> Floats:
    """Pooled gaps within each request, without the zeros between tokens of one step."""
    if not times:
        return floats(())
    gaps = np.diff(floats(chain.from_iterable(times)))
    ends = np.cumsum([len(t) for t in times])[:-1] - 1  # a gap from one request to the next
    within = np.delete(gaps, ends)
    return within[within > 0]
