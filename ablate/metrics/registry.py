"""All metrics in the order in which they are reported, and all of them of a trial."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ablate.metrics import adaptive, answers, cost, memory, service, steady, tail, times
from ablate.metrics.base import Metric, Values
from ablate.types import Record, Trial

METRICS: tuple[Metric, ...] = (
    *answers.METRICS,
    *service.RATES,
    *times.METRICS,
    *tail.METRICS,
    *steady.METRICS,
    *memory.METRICS,
    *service.METRICS,
    *adaptive.METRICS,
    *cost.METRICS,
)
NAMES: Mapping[str, Metric] = {m.name: m for m in METRICS}


class Measured(NamedTuple):
    """The metrics of one trial: all of ``METRICS`` over ``all`` its requests, and by domain those
    that make sense for a part of them.
    """

    all: Values
    domains: Mapping[str, Values]


def measure(trial: Trial, price: float | None = None) -> Measured:
    """Every metric of one trial, in the order of ``METRICS``. ``price``: of the machine, an hour.

    Empty for a failed trial, whose records stop at an arbitrary place. A resumed trial was
    interrupted, so what depends on the clock is None.
    """
    result = trial.result
    if result.status == "failed":
        return Measured({}, {})
    parts: dict[str, list[Record]] = {}
    for record in trial.records:
        parts.setdefault(record.domain, []).append(record)
    by_domain = {domain: _untimed(records) for domain, records in parts.items()}
    found = answers.answer_metrics(trial.records) | {"weight_bytes": result.weight_bytes}
    if not result.resumed:
        samples = {domain: times.latencies(records) for domain, records in parts.items()}
        for domain, records in parts.items():
            by_domain[domain] |= times.latency_metrics(samples[domain])
            by_domain[domain] |= adaptive.time_by_difficulty(records)
        found |= times.latency_metrics(times.pooled(list(samples.values())))
        found |= _of_the_whole(trial, found, price)
    if len(by_domain) == 1:  # difficulties of two domains do not compare
        found = next(iter(by_domain.values())) | found
    names = [m.name for m in METRICS if m.per_domain]
    return Measured(
        {m.name: found.get(m.name) for m in METRICS},
        {d: {name: values.get(name) for name in names} for d, values in by_domain.items()},
    )


def _untimed(records: Sequence[Record]) -> Values:
    return answers.answer_metrics(records) | adaptive.length_by_difficulty(records)


def _of_the_whole(trial: Trial, found: Values, price: float | None) -> Values:
    """What only all requests of a trial together have, and the clock decides."""
    result = trial.result
    return (
        service.service_metrics(result, found)
        | times.lateness(trial.records)
        | tail.tail_metrics(trial.records, tail.tail_of(trial.records))
        | steady.steady_metrics(trial.records, tail.backlog_of(trial.records))
        | memory.memory_metrics(trial.usage)
        | service.engine_metrics(result.counters)
        | cost.cost_metrics(result, found, price)
    )
