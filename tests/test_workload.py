"""Arrival processes and loads: rates, burstiness, and what arms and blocks share."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from statistics import fmean, stdev
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ablate.arrivals import Arrival, Batch, Gamma
from ablate.plan import Arm, make_plan
from ablate.recipe import ModelConfig, Recipe
from ablate.types import Load, Sampling
from ablate.workload import build_load
from tests import stand_ins

seeds = st.integers(0, 2**32)
rates = st.floats(0.01, 1000)
shapes = st.floats(0.25, 4)


@given(rates, shapes, st.integers(0, 200), seeds)
def test_arrivals_ascend_and_are_reproducible(rate: float, shape: float, n: int, seed: int) -> None:
    process = Gamma(rate, shape)
    offsets = process.offsets(n, Random(seed))
    assert len(offsets) == n
    assert offsets == sorted(offsets)
    assert all(offset >= 0 for offset in offsets)
    assert offsets == process.offsets(n, Random(seed))
    assert offsets[: n // 2] == process.offsets(n // 2, Random(seed))


@given(rates, shapes, seeds)
def test_gaps_have_the_mean_and_the_variation_of_the_gamma(
    rate: float, shape: float, seed: int
) -> None:
    offsets = Gamma(rate, shape).offsets(4000, Random(seed))
    gaps = [b - a for a, b in zip([0.0, *offsets], offsets, strict=False)]
    variation = shape**-0.5
    # Five standard errors of a mean of 4000; the variation's own error is a few times larger.
    assert fmean(gaps) * rate == pytest.approx(1, abs=5 * variation / 4000**0.5)
    assert stdev(gaps) / fmean(gaps) == pytest.approx(variation, rel=0.2)


def test_arrivals_are_not_rescaled() -> None:
    last = {Gamma(10).offsets(50, Random(seed))[-1] for seed in range(20)}
    assert stdev(last) > 0.3  # vLLM's would all be 5.0; a renewal process has 50 ** 0.5 / 10


def test_a_batch_is_a_closed_loop() -> None:
    process: Arrival = Batch(4)
    assert process.offsets(100, Random(0)) is None
    assert Batch(4).in_flight == 4


@pytest.mark.parametrize(
    "options",
    [{"request_rate": 0}, {"request_rate": -1}, {"request_rate": float("nan")},
     {"request_rate": 1, "burstiness": 0}, {"request_rate": 1, "concurrency": 0}],
)  # fmt: skip
def test_impossible_processes(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must be"):
        Gamma(**options)


GAMMA = {"arrival": "gamma", "request_rate": 5}


def arms(**keys: Any) -> dict[str, Arm]:
    recipe = Recipe(
        **{
            "name": "test",
            "model": ModelConfig("some/model"),
            "domains": {"count": {"limit": 20}},
            "sampling": Sampling(samples=2),
            "workload": GAMMA,
            "factors": {"w": ({"loader": {}},)},
            **keys,
        }
    )
    return {arm.info.id: arm for arm in make_plan(recipe, stand_ins.available()).arms}


def order(load: Load) -> list[str]:
    return [request.id for request in load.requests]


def times(load: Load) -> list[float | None]:
    return [request.arrival for request in load.requests]


class TestLoads:
    def test_every_problem_is_asked_as_often_as_samples(self) -> None:
        load = build_load(arms()["baseline"], 0)
        assert sorted(order(load)) == sorted(f"count/{i}#{s}" for i in range(20) for s in range(2))
        assert load.concurrency is None

    def test_arms_of_a_block_share_order_and_arrivals(self) -> None:
        made = arms()
        one, other = build_load(made["baseline"], 1), build_load(made["loader"], 1)
        assert one == other

    def test_blocks_differ_in_both(self) -> None:
        arm = arms()["baseline"]
        one, other = build_load(arm, 0), build_load(arm, 1)
        assert order(one) != order(other)
        assert times(one) != times(other)

    def test_the_replicate_differs_in_order_alone(self) -> None:
        made = arms()
        one, again = build_load(made["baseline"], 0), build_load(made["baseline-again"], 0)
        assert order(one) != order(again)
        assert times(one) == times(again)

    def test_a_request_has_one_seed_in_all_arms_of_a_block(self) -> None:
        made = arms()
        places = [("baseline", 0), ("baseline-again", 0), ("baseline", 1)]
        loads = [build_load(made[arm], block) for arm, block in places]
        one, other, later = ({r.id: r.seed for r in load.requests} for load in loads)
        assert one == other
        assert not set(one.values()) & set(later.values())
        assert len(set(one.values())) == 40
        assert all(0 <= seed < 2**63 for seed in one.values())
        reseeded = build_load(arms(sampling=Sampling(samples=2, seed=1))["baseline"], 0)
        assert not set(one.values()) & {r.seed for r in reseeded.requests}

    def test_seeds_stay_what_they_are(self) -> None:
        # A run can be resumed by a later version: these numbers must not move.
        load = build_load(arms()["baseline"], 0)
        assert {r.id: r.seed for r in load.requests}["count/0#0"] == 6698443199916762682

    def test_a_closed_loop_has_no_arrivals(self) -> None:
        load = build_load(arms(workload={"arrival": "batch", "concurrency": 3})["baseline"], 0)
        assert set(times(load)) == {None}
        assert load.concurrency == 3

    @given(seeds)
    def test_the_recipe_seed_decides(self, seed: int) -> None:
        arm = arms()["baseline"]
        seeded = replace(arm, recipe=replace(arm.recipe, seed=seed))
        assert build_load(seeded, 0) == build_load(seeded, 0)
        if seed:
            assert order(build_load(seeded, 0)) != order(build_load(arm, 0))
