"""KV swings, stragglers, effort, cost and steady state, against known answers."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ablate.metrics import (
    Floats,
    backlog_of,
    find_tail,
    measure,
    oversaturated,
    stragglers,
    tail_of,
)
from ablate.metrics.adaptive import slope
from ablate.metrics.memory import largest_drop
from ablate.metrics.steady import batch_means, steady_metrics, truncation
from ablate.types import Record, Usage
from tests.records import record, trial


def use(time: float, tokens: int, budget: int = 100) -> Usage:
    return Usage(time, 1, 0, tokens, 10 * tokens, 10 * budget, 10 * budget)


def answer(start: float, first: float, pace: float, tokens: int, **more: object) -> Record:
    """A request that arrives at ``start`` and then waits ``first`` seconds for its first token."""
    times = [start + first + pace * i for i in range(tokens)]
    return record(*times, arrival=start, **more)  # type: ignore[arg-type]


# KV cache


def test_kv_swings_by_hand() -> None:
    usage = (use(0, 20), use(1, 95), use(1.5, 20), use(4, 0))  # held for 1, 0.5 and 2.5 s
    found = measure(trial(usage=usage)).all
    mean = (20 + 95 * 0.5 + 20 * 2.5) / 4
    spread = np.sqrt(((20 - mean) ** 2 * 3.5 + (95 - mean) ** 2 * 0.5) / 4)
    expected = {
        "mean_kv_tokens": mean,
        "std_kv_tokens": spread,
        "cv_kv_tokens": spread / mean,
        "max_drop_kv_tokens": 75,
        "std_kv_bytes": 10 * spread,
        "cv_kv_bytes": spread / mean,
        "max_drop_kv_bytes": 750,
        "std_kv_cache_usage": spread / 100,
        "max_drop_kv_cache_usage": 0.75,
        "kv_nearly_full_share": 0.125,
    }
    assert {name: found[name] for name in expected} == pytest.approx(expected)


def test_a_slow_fall_is_no_sudden_drop() -> None:
    times: Floats = np.arange(5, dtype=np.float64)
    values: Floats = np.array([90.0, 70, 50, 30, 10])
    assert largest_drop(times, values) == 20
    assert largest_drop(times, values, window=2) == 40
    assert largest_drop(times / 10, values) == 80
    assert largest_drop(times, values[::-1]) == 0


@given(
    st.lists(st.tuples(st.floats(0, 2), st.integers(0, 50)), min_size=1, max_size=30),
    st.floats(0.1, 5),
)
def test_largest_drop_is_the_largest_of_all_pairs(
    samples: list[tuple[float, int]], window: float
) -> None:
    times = np.cumsum([step for step, _ in samples])
    values = np.array([value for _, value in samples], dtype=float)
    held = [*times[1:], np.inf]  # until when each sample holds
    pairs = [
        values[i] - values[j]
        for j in range(times.size)
        for i in range(j)
        if held[i] > times[j] - window or i == j - 1
    ]
    assert largest_drop(times, values, window) == max([0.0, *pairs])


def test_without_telemetry_nothing_is_known_of_the_cache() -> None:
    found = measure(trial(record(1.0))).all
    assert found["std_kv_tokens"] is None
    assert found["kv_nearly_full_share"] is None


# Stragglers


def batch_with_one_straggler() -> list[Record]:
    """Seven answers of 10 tokens in 1 s, and one of 40 in 4 s, all from the start."""
    short = [answer(0, 0.1, 0.1, 10, problem=f"p{i}") for i in range(7)]
    return [*short, answer(0, 0.1, 0.1, 40, problem="long")]


def test_tail_by_hand() -> None:
    records = batch_with_one_straggler()
    found = measure(trial(*records)).all
    assert found["tail_share"] == pytest.approx(0.75)  # 1 s to 4 s of 4 s, one of eight running
    assert found["tail_requests"] == 1
    # 80 tokens in the first second; 30 in the three after it
    assert found["tail_tokens_not_served"] == pytest.approx(3 * 80 - 30)
    assert found["cv_e2el"] == pytest.approx(np.std([1] * 7 + [4]) / np.mean([1] * 7 + [4]))
    assert found["p99_p50_e2el"] is None


def test_who_waits_in_a_queue_holds_nothing_up() -> None:
    """Forty requests that are there at once, four served at a time, the last of them for longer."""
    rounds = [answer(0, 0.1 + i, 0.1, 10) for i in range(10) for _ in range(4)]
    assert measure(trial(*rounds)).all["tail_share"] == 0
    found = measure(trial(*rounds, answer(0, 10.1, 0.1, 100))).all
    assert found["tail_share"] == 0  # one of four is a quarter
    wider = [answer(0, 0.1 + i, 0.1, 10) for i in range(8) for _ in range(5)]
    found = measure(trial(*wider, answer(0, 8.1, 0.1, 20))).all
    assert found["tail_share"] == pytest.approx(2 / 10)
    assert found["tail_requests"] == 1


def test_who_waits_together_has_no_tail_and_three_cannot_have_one() -> None:
    even = [answer(0, 0.1, 0.1, 10) for _ in range(8)]
    assert measure(trial(*even)).all["tail_share"] == 0
    assert measure(trial(*even)).all["tail_tokens_not_served"] == 0
    assert measure(trial(*even[:3])).all["tail_share"] is None
    assert measure(trial(*even[:3])).all["tail_tokens_not_served"] is None


@pytest.mark.parametrize(
    ("late", "reason"),
    [
        (answer(0, 0.1, 0.1, 40), "long output"),
        (answer(0, 3.1, 0.1, 10), "queueing"),
        (answer(0, 0.1, 0.4, 10), "slow pace"),
        (answer(3, 0.1, 0.05, 10), "came last"),
        (record(arrival=0, finished=4.0), "queueing"),
        (answer(0, 0.1, 0.4, 10, preemptions=1), "preemption"),
        (answer(0, 0.1, 0.1, 40, preemptions=1), "long output"),
    ],
)
def test_a_straggler_says_why(late: Record, reason: str) -> None:
    records = [*(answer(0, 0.1, 0.1, 10) for _ in range(8)), late]
    found = stragglers(records, tail_of(records))
    assert found.reasons == {reason: 1}
    assert found.named[0].reason == reason
    assert len(found.named) == 1


@given(
    st.lists(
        st.tuples(st.floats(0, 9), st.floats(0.01, 9), st.floats(0.001, 1), st.integers(1, 60)),
        min_size=8,
        max_size=25,
    )
)
def test_the_parts_of_an_excess_add_up(drawn: list[tuple[float, float, float, int]]) -> None:
    records = [answer(*one) for one in drawn]
    tail = tail_of(records)
    found = stragglers(records, tail)
    assert sum(found.reasons.values()) == tail.late.sum()
    for one in found.named:
        assert sum(one.parts.values()) == pytest.approx(one.excess, abs=1e-6)
        assert (one.reason == "came last") == (one.excess <= 0)


@given(st.lists(st.tuples(st.floats(0, 9), st.floats(0.01, 9)), min_size=1, max_size=30))
def test_in_the_tail_fewer_than_a_quarter_run_for_good(drawn: list[tuple[float, float]]) -> None:
    arrival = np.array([a for a, _ in drawn])
    finished = arrival + np.array([d for _, d in drawn])
    tail = find_tail(arrival, finished)
    if tail.start is not None:
        assert (tail.running[tail.times >= tail.start] < tail.peak / 4).all()
        assert tail.late.any()
    assert tail.share is None or 0 <= tail.share <= 1


# Effort and difficulty


def test_length_and_time_follow_difficulty() -> None:
    records = [
        answer(0, 0.5, 0.5, 10 * hard + extra, difficulty=float(hard), problem=f"{hard}/{extra}")
        for hard in (1, 2, 3)
        for extra in (0, 1, 2)
    ]
    found = measure(trial(*records)).domains["logic"]
    assert found["difficulty_length_correlation"] == pytest.approx(0.9486832980505138)
    assert found["tokens_per_difficulty"] == pytest.approx(10)
    assert found["seconds_per_difficulty"] == pytest.approx(5)
    whole = measure(trial(*records)).all
    assert whole["tokens_per_difficulty"] == pytest.approx(10)  # one domain only
    two = measure(trial(*records, record(1.0, domain="code"))).all
    assert two["tokens_per_difficulty"] is None


def test_running_time_counts_from_the_dispatch() -> None:
    records = [
        answer(0, 5.0, 0.1, 10 * hard, difficulty=float(hard), dispatched=4.9) for hard in (1, 2)
    ]
    assert measure(trial(*records)).all["seconds_per_difficulty"] == pytest.approx(1)


@pytest.mark.parametrize("difficulty", [None, 2.0])
def test_without_two_levels_nothing_is_said_of_difficulty(difficulty: float | None) -> None:
    records = [answer(0, 0.1, 0.1, n, difficulty=difficulty) for n in (3, 5, 9)]
    found = measure(trial(*records)).all
    assert found["difficulty_length_correlation"] is None
    assert found["seconds_per_difficulty"] is None


@given(st.floats(-50, 50), st.integers(600, 2000))
def test_many_requests_have_the_slope_of_all(steep: float, n: int) -> None:
    hard = np.arange(n, dtype=float) % 7
    assert slope(hard, steep * hard + 3) == pytest.approx(steep)


def test_one_endless_answer_does_not_turn_the_slope() -> None:
    hard = np.repeat([1.0, 2, 3, 4], 5)
    tokens = 100 * hard
    tokens[0] = 100_000
    assert slope(hard, tokens) == 100


# Energy and money


def test_energy_and_money_by_hand() -> None:
    records = [answer(0, 0.1, 0.1, 10), answer(0, 0.1, 0.1, 30, outcome="wrong")]
    run = trial(*records, energy={"cpu0": 60.0, "gpu0": 140.0}, running_time=4.0)
    found = measure(run, price=9.0).all
    expected = {
        "energy_joules": 200,
        "mean_power_watts": 50,
        "joules_per_output_token": 5,
        "joules_per_correct": 200,
        "cost_per_correct": 0.01,  # 4 s of 9 an hour
        "cost_per_million_output_tokens": 250,
    }
    assert {name: found[name] for name in expected} == pytest.approx(expected)


def test_what_cannot_be_read_or_is_not_priced_is_none() -> None:
    found = measure(trial(answer(0, 0.1, 0.1, 10))).all
    assert found["energy_joules"] is None
    assert found["joules_per_output_token"] is None
    assert found["cost_per_correct"] is None
    wrong = measure(trial(answer(0, 0.1, 0.1, 10, outcome="wrong")), price=1.0).all
    assert wrong["cost_per_correct"] is None  # no right answer to share it out to


def test_visible_tokens_are_those_after_the_reasoning() -> None:
    run = trial(answer(0, 0.1, 0.1, 10, thinking_tokens=7), answer(0, 0.1, 0.1, 6))
    assert measure(run).all["visible_token_rate"] == pytest.approx((3 + 3) / 4)


# Steady state


def served(rate: float, seconds: float, slots: int, each: float) -> list[Record]:
    """Even arrivals at ``rate`` into a queue before ``slots`` servers of ``each`` seconds."""
    free, records = [0.0] * slots, []
    for number in range(int(rate * seconds)):
        arrival = number / rate
        slot = int(np.argmin(free))
        free[slot] = max(free[slot], arrival) + each
        records.append(record(free[slot], arrival=arrival, problem=str(number)))
    return records


def test_a_service_in_balance_is_steady_soon() -> None:
    found = measure(trial(*served(10, 60, slots=40, each=2))).all
    assert found["steady_start"] is not None
    assert 1 <= found["steady_start"] <= 4  # two seconds to fill up
    assert found["steady_end"] == pytest.approx(59.9)
    assert found["steady_mean_ttft_ms"] == pytest.approx(2000)
    assert found["steady_output_throughput"] == pytest.approx(10, rel=0.02)
    assert not oversaturated(found)


def test_what_gets_more_than_it_can_serve_is_oversaturated() -> None:
    found = measure(trial(*served(10, 60, slots=10, each=2))).all  # five a second are served
    assert found["backlog_growth"] == pytest.approx(0.5, abs=0.02)
    assert found["steady_start"] is None
    assert oversaturated(found)


def queued(load: float, requests: int, seed: int) -> list[Record]:
    """Poisson arrivals at ``load`` times what ten slots serve: a second a request on average."""
    rng = np.random.default_rng(seed)
    free, records = [0.0] * 10, []
    for number, arrival in enumerate(np.cumsum(rng.exponential(0.1 / load, requests))):
        slot = int(np.argmin(free))
        free[slot] = max(free[slot], arrival) + rng.lognormal(-0.32, 0.8)
        records.append(record(free[slot], arrival=float(arrival), problem=str(number)))
    return records


@pytest.mark.parametrize(("load", "least", "most"), [(0.9, 0, 1), (1.3, 18, 20)])
def test_random_queues_are_flagged_when_they_cannot_keep_up(
    load: float, least: int, most: int
) -> None:
    flagged = 0
    for seed in range(20):
        records = queued(load, 500, seed)
        flagged += oversaturated(steady_metrics(records, backlog_of(records)))
    assert least <= flagged <= most


def test_a_closed_loop_is_steady_and_not_oversaturated() -> None:
    records = [
        record(2.0 * turn + 2, arrival=2.0 * turn, problem=f"{turn}/{user}")
        for turn in range(20)
        for user in range(4)
    ]
    found = measure(trial(*records)).all
    assert found["backlog_growth"] == 0
    assert found["steady_start"] == 0


@pytest.mark.parametrize("records", [served(10, 1, 1, 1), [record(1.0)] * 30, []])
def test_too_few_requests_or_all_at_once_have_no_steady_state(records: list[Record]) -> None:
    found = measure(trial(*records)).all
    assert found["steady_start"] is None
    assert found["backlog_growth"] is None


@pytest.mark.parametrize("length", [0, 1, 7, 20, 35])
def test_truncation_leaves_a_planted_transient_out(length: int) -> None:
    noise = np.random.default_rng(length).normal(0, 0.1, 100)
    noise[:length] += 5
    found = truncation(noise)
    assert found is not None
    assert length <= found <= length + 15


def test_what_still_grows_has_no_end_of_its_transient() -> None:
    rising: Floats = np.arange(100, dtype=np.float64)
    assert truncation(rising) is None


def test_means_of_a_step_function() -> None:
    times, running = np.array([1.0, 3.0]), np.array([4.0, 0.0])
    assert list(batch_means(times, running, 0.0, 4.0, 4, 5)) == [0, 4, 4, 0]


def test_stragglers_are_plain_values() -> None:
    records = batch_with_one_straggler()
    found = asdict(stragglers(records, tail_of(records)))
    assert found["named"][0]["problem_id"] == "long"
    assert found["named"][0]["excess"] == pytest.approx(3.0)
    assert found["named"][0]["parts"]["long output"] == pytest.approx(3.0)
