"""Rates of the whole trial, and what the engine and the machine count."""

from __future__ import annotations

from collections.abc import Mapping

from ablate.metrics.base import SEEN, SERVE, Metric, Values, ratio
from ablate.types import TrialResult

_SPEC = "vLLM `SpecDecodingStats`"
RATES: tuple[Metric, ...] = (
    Metric("running_time", "s", "lower", "start of measuring to the last finished request", SERVE),
    Metric("output_throughput", "tok/s", "higher", "total_output_tokens / running_time", SERVE),
    Metric(
        "visible_token_rate",
        "tok/s",
        "higher",
        "output tokens after the reasoning / running_time",
        SEEN,
    ),
    Metric("request_throughput", "req/s", "higher", "completed / running_time", SERVE),
    Metric(
        "max_request_rate",
        "req/s",
        "higher",
        "highest rate found at which `attainment` of the requests kept the `slo`, within a factor "
        "of 1.09; null without `find: max_rate_under_slo`",
        "arXiv 2401.09670",
    ),
)
METRICS: tuple[Metric, ...] = (
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


def service_metrics(result: TrialResult, answers: Values) -> Values:
    """Rates over the running time. ``answers``: the trial's ``answer_metrics``."""
    seconds, tokens = result.running_time, answers["total_output_tokens"]
    visible = (tokens or 0.0) * (1 - (answers["thinking_share"] or 0.0))
    return {
        "running_time": seconds,
        "output_throughput": ratio(tokens, seconds),
        "visible_token_rate": ratio(visible, seconds),
        "request_throughput": ratio(answers["completed"], seconds),
        "peak_rss_bytes": result.peak_rss_bytes,
        "cpu_wall_ratio": ratio(result.cpu_seconds, seconds),
        "load_average": result.load_average,
    }


def engine_metrics(counters: Mapping[str, float]) -> Values:
    """What the engine counted while it measured."""
    accepted = counters.get("spec_num_accepted_tokens", 0.0)
    per_draft = ratio(accepted, counters.get("spec_num_drafts"))
    return {
        "mean_acceptance_length": None if per_draft is None else 1 + per_draft,
        "draft_acceptance_rate": ratio(accepted, counters.get("spec_num_draft_tokens")),
        "prefix_cache_hit_rate": ratio(
            counters.get("prefix_cache_hits", 0.0), counters.get("prefix_cache_queries")
        ),
        "num_preemptions": counters.get("num_preemptions"),
        "max_request_rate": counters.get("max_request_rate"),
        "num_steps": counters.get("num_steps"),
    }
