"""Which requests kept the recipe's bounds on latency: one rule for searches and for reports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ablate.metrics.base import Floats, floats
from ablate.metrics.times import latency
from ablate.types import Completion

NAMES = {"ttft": "ttft", "tpot": "tpot", "e2e_latency": "e2el"}
"""Bound -> the latency that it is on."""


def within(slo: Mapping[str, float], latencies: Mapping[str, Floats]) -> NDArray[np.bool_]:
    """Which requests kept every bound: [requests].

    ``latencies``: in seconds by the bound's name, NaN where a request has none. Without any token
    it has no TTFT, and kept no bound on its tokens. With one it has no TPOT, and a bound on that
    does not apply.
    """
    kept = np.ones(latencies["ttft"].size, dtype=np.bool_)
    for name, most in slo.items():
        found = latencies[name]
        exempt = np.isnan(found) & ~np.isnan(latencies["ttft"]) if name == "tpot" else False
        kept &= (found <= most) | exempt  # NaN is not within a bound
    return kept


def share_within(completions: Sequence[Completion], slo: Mapping[str, float]) -> float:
    """The share of requests that kept every bound."""
    found = {
        name: floats(np.nan if (s := latency(of, c)) is None else s for c in completions)
        for name, of in NAMES.items()
    }
    return float(within(slo, found).mean()) if completions else 0.0
