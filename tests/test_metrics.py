"""Metrics against numbers computed by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ablate.metrics import (
    METRICS,
    MIN_SAMPLES,
    NAMES,
    latencies,
    measure,
    time_mean,
)
from ablate.types import Usage
from tests.records import record, trial

TWO = (
    record(1.0, 1.5, 2.5, arrival=0.5, visible=2.5, dispatched=0.75),
    record(2.0, 4.0, arrival=0.0, visible=None, outcome="truncated", domain="arithmetic"),
)


def test_two_requests_by_hand() -> None:
    found = measure(trial(*TWO, cpu_seconds=3.0, load_average=1.5, peak_rss_bytes=7)).all
    expected = {
        "completed": 2,
        "accuracy": 0.5,
        "correct": 1,
        "truncated": 1,
        "wrong": 0,
        "unparsed": 0,
        "total_input_tokens": 20,
        "total_output_tokens": 5,
        "mean_output_tokens": 2.5,
        "thinking_share": 0.4,
        "requests_without_visible": 1,
        "running_time": 4.0,
        "output_throughput": 1.25,
        "request_throughput": 0.5,
        "mean_ttft_ms": 1250.0,  # 0.5 and 2.0
        "mean_ttfvt_ms": 2000.0,  # only the first
        "mean_tpot_ms": 1375.0,  # 1.5 / 2 and 2.0 / 1
        "mean_itl_ms": 3500 / 3,  # 0.5, 1.0, 2.0
        "mean_e2el_ms": 3000.0,  # 2.0 and 4.0
        "max_dispatch_lateness_ms": 250.0,
        "cpu_wall_ratio": 0.75,
        "load_average": 1.5,
        "peak_rss_bytes": 7,
    }
    assert {name: found[name] for name in expected} == pytest.approx(expected)
    assert found["p50_ttft_ms"] is None


def test_every_defined_metric_is_given_and_no_other() -> None:
    usage = (Usage(0.0, 1, 0, 1, 1, 1, 1),)
    counters = {"spec_num_drafts": 1.0, "num_steps": 2.0}
    full = trial(*TWO, usage=usage, counters=counters, weight_bytes=1, cpu_seconds=1.0)
    assert list(measure(full).all) == [m.name for m in METRICS]
    assert len(NAMES) == len(METRICS)


def test_tokens_of_one_step_are_one_emission() -> None:
    drafted = record(1.0, 2.0, 2.0, 2.0, 4.0)
    found = latencies([drafted, record(5.0), record(7.0, 8.0)])
    assert list(found["itl"]) == [1.0, 2.0, 1.0]
    assert list(found["tpot"]) == [0.75, 1.0]


def test_one_token_has_no_tpot() -> None:
    found = measure(trial(record(1.0))).all
    assert found["mean_tpot_ms"] is None
    assert found["mean_itl_ms"] is None
    assert found["mean_ttft_ms"] == 1000.0


def test_request_without_tokens_has_only_its_end() -> None:
    found = measure(trial(record(finished=2.0))).all
    assert found["mean_ttft_ms"] is None
    assert found["mean_e2el_ms"] == 2000.0


@pytest.mark.parametrize(("percentile", "least"), MIN_SAMPLES.items())
def test_percentiles_need_enough_samples(percentile: int, least: int) -> None:
    name = f"p{percentile}_e2el_ms"
    many = [record(i / 1000) for i in range(1, least + 1)]
    assert measure(trial(*many[:-1])).all[name] is None
    expected = np.percentile(np.arange(1, least + 1), percentile)
    assert measure(trial(*many)).all[name] == pytest.approx(expected)


def test_memory_is_weighted_by_time() -> None:
    usage = (
        Usage(0.0, running=1, waiting=4, kv_tokens=10, kv_bytes=100, kv_allocated_bytes=400,
              kv_budget_bytes=1000),
        Usage(3.0, running=5, waiting=0, kv_tokens=50, kv_bytes=500, kv_allocated_bytes=800,
              kv_budget_bytes=1000),
        Usage(4.0, running=0, waiting=0, kv_tokens=0, kv_bytes=0, kv_allocated_bytes=800,
              kv_budget_bytes=1000),
    )  # fmt: skip
    found = measure(trial(usage=usage)).all
    expected = {
        "mean_running": 2.0,
        "mean_waiting": 3.0,
        "peak_kv_tokens": 50,
        "mean_kv_tokens": 20.0,
        "peak_kv_bytes": 500,
        "mean_kv_bytes": 200.0,
        "peak_kv_allocated_bytes": 800,
        "mean_kv_allocated_bytes": 500.0,
        "peak_kv_cache_usage": 0.5,
        "mean_kv_cache_usage": 0.2,
    }
    assert {name: found[name] for name in expected} == pytest.approx(expected)


def test_usage_without_a_budget_has_no_share() -> None:
    found = measure(trial(usage=(Usage(0.0, 1, 0, 5, 50, 50, 0),))).all
    assert found["peak_kv_bytes"] == 50
    assert found["mean_kv_bytes"] == 50
    assert found["peak_kv_cache_usage"] is None


@given(st.lists(st.tuples(st.floats(0.01, 10), st.floats(0, 1e9)), min_size=2, max_size=20))
def test_time_mean_lies_between_the_samples(samples: list[tuple[float, float]]) -> None:
    times = np.cumsum([step for step, _ in samples])
    values = np.array([value for _, value in samples])
    mean = time_mean(times, values)
    assert mean is not None
    assert values.min() - 1 <= mean <= values.max() + 1


def test_engine_counters() -> None:
    counters = {
        "spec_num_drafts": 10.0,
        "spec_num_draft_tokens": 40.0,
        "spec_num_accepted_tokens": 15.0,
        "prefix_cache_queries": 200.0,
        "prefix_cache_hits": 50.0,
        "num_preemptions": 3.0,
        "num_steps": 25.0,
    }
    found = measure(trial(counters=counters)).all
    assert found["mean_acceptance_length"] == 2.5
    assert found["draft_acceptance_rate"] == 0.375
    assert found["prefix_cache_hit_rate"] == 0.25
    assert found["num_preemptions"] == 3
    assert found["num_steps"] == 25


@pytest.mark.parametrize("counters", [{}, {"spec_num_drafts": 0.0, "prefix_cache_queries": 0.0}])
def test_no_drafts_and_no_lookups_are_none_not_zero(counters: dict[str, float]) -> None:
    found = measure(trial(counters=counters)).all
    assert found["mean_acceptance_length"] is None
    assert found["draft_acceptance_rate"] is None
    assert found["prefix_cache_hit_rate"] is None


def test_failed_trial_has_no_metrics() -> None:
    failed = trial(*TWO, status="failed", kind="timeout")
    assert measure(failed).all == {}
    assert measure(failed).domains == {}


def test_resumed_trial_has_answers_and_no_speed() -> None:
    usage = (Usage(0.0, 1, 0, 5, 50, 50, 100),)
    found = measure(trial(*TWO, resumed=True, usage=usage, weight_bytes=9)).all
    known = {name for name, value in found.items() if value is not None}
    difficulty = {"difficulty_length_correlation", "tokens_per_difficulty"}  # two domains
    assert known == {m.name for m in METRICS if not m.timed} - difficulty
    assert found["accuracy"] == 0.5
    by_domain = measure(trial(*TWO, resumed=True)).domains["logic"]
    assert by_domain["accuracy"] == 1
    assert by_domain["mean_ttft_ms"] is None


def test_domains_split_the_requests() -> None:
    found = measure(trial(*TWO)).domains
    assert found["logic"]["accuracy"] == 1
    assert found["arithmetic"]["truncated"] == 1
    assert found["arithmetic"]["mean_ttft_ms"] == 2000
    assert set(found["logic"]) == {m.name for m in METRICS if m.per_domain}


def test_empty_trial_has_no_rates() -> None:
    found = measure(trial(running_time=None)).all
    assert found["completed"] == 0
    assert found["accuracy"] is None
    assert found["output_throughput"] is None
    assert found["mean_e2el_ms"] is None


def test_latency_counts_from_the_schedule_not_from_the_sending() -> None:
    late = record(3.0, arrival=1.0, dispatched=2.9)
    assert measure(trial(late)).all["mean_ttft_ms"] == pytest.approx(2000)
    moved = replace(late, completion=replace(late.completion, dispatched=1.0))
    assert measure(trial(moved)).all["mean_ttft_ms"] == pytest.approx(2000)
