"""From a trial to named numbers. Pure: knows the values in ``ablate.types`` and nothing else.

Names follow vLLM's benchmark results (``output_throughput``, ``mean_ttft_ms``, ``p99_tpot_ms`` …).
``METRICS`` defines every number in the order in which it is reported; docs/reference/metrics.md is
printed from it. A number that cannot be had, or that would rest on too few samples, is None.

Latencies count from the *scheduled* arrival: counting from the moment of sending would hide the
queue that a slow server builds up in its client ("coordinated omission", Tene 2015).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from ablate.types import Completion, Outcome, Record, Trial, TrialResult, Usage

Better = Literal["higher", "lower", "neither"]
Values = dict[str, float | None]
Floats = NDArray[np.float64]

MIN_SAMPLES: Mapping[int, int] = {50: 13, 90: 64, 99: 660}
"""Percentile -> samples below which it is None: about 6.5 samples must lie beyond it."""


@dataclass(frozen=True)
class Metric:
    """What one number means. ``source`` names whose definition it is, where it is not ours.

    ``timed``: it depends on the clock or on the machine's state, so a resumed trial has none.
    ``per_domain``: it is also given for the requests of one domain.
    """

    name: str
    unit: str
    better: Better
    formula: str
    source: str = ""
    timed: bool = True
    per_domain: bool = False


def _answer(name: str, unit: str, better: Better, formula: str) -> Metric:
    return Metric(name, unit, better, formula, timed=False, per_domain=True)


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


_SERVE = "vLLM `bench serve`"
_SPEC = "vLLM `SpecDecodingStats`"
METRICS: tuple[Metric, ...] = (
    _answer("completed", "requests", "neither", "finished requests"),
    _answer("accuracy", "share", "higher", "correct / completed"),
    _answer("correct", "requests", "higher", "answers that the grader accepts"),
    _answer("wrong", "requests", "lower", "answers that were read and are not right"),
    _answer("unparsed", "requests", "lower", "outputs that ended without an answer to read"),
    _answer("truncated", "requests", "lower", "outputs cut off at the token limit, no answer yet"),
    _answer("total_input_tokens", "tokens", "neither", "sum of prompt tokens"),
    _answer("total_output_tokens", "tokens", "neither", "sum of output tokens"),
    _answer("mean_output_tokens", "tokens", "neither", "total_output_tokens / completed"),
    _answer("thinking_share", "share", "neither", "thinking tokens / output tokens"),
    _answer(
        "requests_without_visible",
        "requests",
        "lower",
        "requests that never showed a token after their reasoning; left out of TTFVT",
    ),
    Metric("running_time", "s", "lower", "start of measuring to the last finished request", _SERVE),
    Metric("output_throughput", "tok/s", "higher", "total_output_tokens / running_time", _SERVE),
    Metric("request_throughput", "req/s", "higher", "completed / running_time", _SERVE),
    *_family("ttft", "first token - arrival", _SERVE),
    *_family("ttfvt", "first visible token (after the reasoning) - arrival", "arXiv 2510.18672"),
    *_family("tpot", "(E2E - TTFT) / (output tokens - 1), from two tokens on", _SERVE),
    *_family(
        "itl",
        "gaps between successive emissions, pooled over requests; tokens that one step "
        "emits together (speculative decoding) are one emission",
        _SERVE,
    ),
    *_family("e2el", "finished - arrival", _SERVE),
    Metric(
        "max_dispatch_lateness_ms",
        "ms",
        "lower",
        "largest (dispatched - arrival): how far the client fell behind its schedule",
    ),
    Metric("peak_kv_tokens", "tokens", "lower", "largest sample of tokens held in the KV cache"),
    Metric("mean_kv_tokens", "tokens", "lower", "mean over time of the same"),
    Metric("peak_kv_bytes", "bytes", "lower", "largest sample of bytes that held tokens need"),
    Metric("mean_kv_bytes", "bytes", "lower", "mean over time of the same"),
    Metric("peak_kv_allocated_bytes", "bytes", "lower", "largest sample of bytes reserved for KV"),
    Metric("mean_kv_allocated_bytes", "bytes", "lower", "mean over time of the same"),
    Metric("peak_kv_cache_usage", "share", "lower", "largest kv_bytes / kv_budget_bytes"),
    Metric("mean_kv_cache_usage", "share", "lower", "mean over time of the same"),
    Metric("mean_running", "requests", "neither", "mean over time of requests being computed"),
    Metric("mean_waiting", "requests", "lower", "mean over time of requests in the queue"),
    Metric(
        "mean_acceptance_length",
        "tokens/step",
        "higher",
        "1 + spec_num_accepted_tokens / spec_num_drafts; null without drafts",
        _SPEC,
    ),
    Metric(
        "draft_acceptance_rate",
        "share",
        "higher",
        "spec_num_accepted_tokens / spec_num_draft_tokens",
        _SPEC,
    ),
    Metric(
        "prefix_cache_hit_rate",
        "share",
        "higher",
        "prefix_cache_hits / prefix_cache_queries, both in tokens",
        "vLLM `PrefixCacheStats`",
    ),
    Metric("num_preemptions", "times", "lower", "requests put back into the queue", "vLLM"),
    Metric("num_steps", "steps", "neither", "forward passes of the engine"),
    Metric(
        "weight_bytes", "bytes", "lower", "the model's weights as held for inference", timed=False
    ),
    Metric("peak_rss_bytes", "bytes", "lower", "largest resident memory of the trial's process"),
    Metric("cpu_wall_ratio", "cores", "neither", "CPU seconds / running_time"),
    Metric("load_average", "processes", "neither", "load of the whole machine during the trial"),
)
NAMES: Mapping[str, Metric] = {m.name: m for m in METRICS}


class Measured(NamedTuple):
    """The metrics of one trial: all of ``METRICS`` over ``all`` its requests, and by domain those
    that make sense for a part of them.
    """

    all: Values
    domains: Mapping[str, Values]


def measure(trial: Trial) -> Measured:
    """Every metric of one trial, in the order of ``METRICS``.

    Empty for a failed trial, whose records stop at an arbitrary place. A resumed trial was
    interrupted, so what depends on the clock is None.
    """
    result = trial.result
    if result.status == "failed":
        return Measured({}, {})
    parts: dict[str, list[Record]] = {}
    for record in trial.records:
        parts.setdefault(record.domain, []).append(record)
    found = answer_metrics(trial.records) | {"weight_bytes": result.weight_bytes}
    by_domain = {domain: answer_metrics(records) for domain, records in parts.items()}
    if not result.resumed:
        samples = {domain: latencies(records) for domain, records in parts.items()}
        for domain, own in samples.items():
            by_domain[domain] |= latency_metrics(own)
        found |= latency_metrics(_pooled(list(samples.values()))) | _service(result, found)
        found |= _lateness(trial.records) | _memory(trial.usage) | _engine(result.counters)
    names = [m.name for m in METRICS if m.per_domain]
    return Measured(
        {m.name: found.get(m.name) for m in METRICS},
        {d: {name: values.get(name) for name in names} for d, values in by_domain.items()},
    )


def answer_metrics(records: Sequence[Record]) -> Values:
    """What was answered and at what length."""
    outcomes = Counter(r.outcome for r in records)
    output = sum(r.completion.output_tokens for r in records)
    thinking = sum(r.completion.thinking_tokens for r in records)
    counts: Values = {outcome: outcomes[outcome] for outcome in get_args(Outcome)}
    return counts | {
        "completed": len(records),
        "accuracy": _ratio(outcomes["correct"], len(records)),
        "total_input_tokens": sum(r.completion.prompt_tokens for r in records),
        "total_output_tokens": output,
        "mean_output_tokens": _ratio(output, len(records)),
        "thinking_share": _ratio(thinking, output),
        "requests_without_visible": sum(r.completion.first_visible is None for r in records),
    }


def latency_metrics(samples: Mapping[str, Floats]) -> Values:
    """Mean and percentiles of ``latencies``, in milliseconds."""
    found: Values = {}
    for name, seconds in samples.items():
        found[f"mean_{name}_ms"] = float(seconds.mean()) * 1e3 if seconds.size else None
        wanted = [p for p, least in MIN_SAMPLES.items() if seconds.size >= least]
        known = dict(zip(wanted, np.percentile(seconds, wanted), strict=True)) if wanted else {}
        for p in MIN_SAMPLES:
            found[f"p{p}_{name}_ms"] = float(known[p]) * 1e3 if p in known else None
    return found


def _lateness(records: Sequence[Record]) -> Values:
    late = _floats(r.completion.dispatched - r.completion.arrival for r in records)
    return {"max_dispatch_lateness_ms": float(late.max()) * 1e3 if late.size else None}


def _pooled(parts: Sequence[Mapping[str, Floats]]) -> dict[str, Floats]:
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
        "ttft": _floats(c.token_times[0] - c.arrival for c in some),
        "ttfvt": _floats(c.first_visible - c.arrival for c in done if c.first_visible is not None),
        "tpot": _floats((c.finished - c.token_times[0]) / (c.output_tokens - 1) for c in more),
        "itl": _gaps([c.token_times for c in some]),
        "e2el": _floats(c.finished - c.arrival for c in done),
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
        return _floats(())
    gaps = np.diff(_floats(chain.from_iterable(times)))
    ends = np.cumsum([len(t) for t in times])[:-1] - 1  # a gap from one request to the next
    within = np.delete(gaps, ends)
    return within[within > 0]


def _service(result: TrialResult, answers: Values) -> Values:
    seconds = result.running_time
    return {
        "running_time": seconds,
        "output_throughput": _ratio(answers["total_output_tokens"], seconds),
        "request_throughput": _ratio(answers["completed"], seconds),
        "peak_rss_bytes": result.peak_rss_bytes,
        "cpu_wall_ratio": _ratio(result.cpu_seconds, seconds),
        "load_average": result.load_average,
    }


def _memory(usage: Sequence[Usage]) -> Values:
    """KV cache and queue over time."""
    times = _floats(u.time for u in usage)
    found: Values = {
        f"mean_{name}": time_mean(times, _floats(getattr(u, name) for u in usage))
        for name in ("running", "waiting")
    }
    held = {
        name: [getattr(u, name) for u in usage]
        for name in ("kv_tokens", "kv_bytes", "kv_allocated_bytes")
    }
    held["kv_cache_usage"] = [_ratio(u.kv_bytes, u.kv_budget_bytes) for u in usage]
    for name, samples in held.items():
        values = _floats(() if None in samples else samples)
        found[f"peak_{name}"] = float(values.max()) if values.size else None
        found[f"mean_{name}"] = time_mean(times, values) if values.size else None
    return found


def time_mean(times: Floats, values: Floats) -> float | None:
    """Mean over time: each sample [n] holds until the next, the last only marks the end."""
    if not values.size:
        return None
    held = np.diff(times)
    return float(np.average(values[:-1], weights=held) if held.sum() > 0 else values.mean())


def _engine(counters: Mapping[str, float]) -> Values:
    accepted = counters.get("spec_num_accepted_tokens", 0.0)
    per_draft = _ratio(accepted, counters.get("spec_num_drafts"))
    return {
        "mean_acceptance_length": None if per_draft is None else 1 + per_draft,
        "draft_acceptance_rate": _ratio(accepted, counters.get("spec_num_draft_tokens")),
        "prefix_cache_hit_rate": _ratio(
            counters.get("prefix_cache_hits", 0.0), counters.get("prefix_cache_queries")
        ),
        "num_preemptions": counters.get("num_preemptions"),
        "num_steps": counters.get("num_steps"),
    }


def _ratio(part: float | None, whole: float | None) -> float | None:
    return None if part is None or not whole else part / whole


def _floats(values: Iterable[float]) -> Floats:
    return np.fromiter(values, dtype=np.float64)
