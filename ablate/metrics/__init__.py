"""From a trial to named numbers. Pure: knows the values in ``ablate.types`` and nothing else.

Names follow vLLM's benchmark results (``output_throughput``, ``mean_ttft_ms``, ``p99_tpot_ms`` …).
Each family has a module; ``METRICS`` holds every number in the order in which it is reported;
docs/reference/metrics.md is printed from it. A number that cannot be had, or that would rest on too
few samples, is None.
"""

from ablate.metrics.answers import answer_metrics
from ablate.metrics.base import Better, Floats, Metric, Values, time_mean
from ablate.metrics.bounds import share_within, within
from ablate.metrics.registry import METRICS, NAMES, Measured, measure
from ablate.metrics.steady import Window, oversaturated, steady_of
from ablate.metrics.tail import (
    Straggler,
    Stragglers,
    Tail,
    backlog_of,
    find_tail,
    stragglers,
    tail_of,
)
from ablate.metrics.times import MIN_SAMPLES, latencies, latency, latency_metrics

__all__ = [
    "METRICS",
    "NAMES",
    "Metric",
    "Better",
    "Values",
    "Floats",
    "MIN_SAMPLES",
    "Measured",
    "measure",
    "answer_metrics",
    "latencies",
    "latency",
    "latency_metrics",
    "time_mean",
    "within",
    "share_within",
    "Tail",
    "Straggler",
    "Stragglers",
    "backlog_of",
    "find_tail",
    "stragglers",
    "tail_of",
    "Window",
    "steady_of",
    "oversaturated",
]
