"""Domains with weights in one stream: their sizes, what is asked, and what is refused."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ablate.errors import RecipeError
from ablate.estimate import estimate
from ablate.planning import Plan, make_plan
from ablate.power import detectable
from ablate.problems import mixed
from ablate.recipe import ModelConfig, Recipe
from ablate.types import Load, Sampling
from ablate.workload import build_load
from tests import stand_ins

NAMES = ("a", "b", "c", "d")
weights = st.dictionaries(st.sampled_from(NAMES), st.floats(0.01, 100), min_size=1)
sizes = st.dictionaries(st.sampled_from(NAMES), st.integers(1, 500), min_size=1)


@given(sizes, weights)
def test_sizes_are_in_proportion_and_the_scarcest_domain_is_used_up(
    counts: dict[str, int], mix: dict[str, float]
) -> None:
    found = mixed(counts, mix)
    assert found.keys() == counts.keys()
    assert all(0 <= n <= counts[name] for name, n in found.items())
    weight = {name: Fraction(mix.get(name, 1.0)) for name in counts}
    longest = min(counts[name] / weight[name] for name in counts)
    assert any(n == counts[name] == longest * weight[name] for name, n in found.items())
    for name, n in found.items():
        assert abs(n - longest * weight[name]) <= Fraction(1, 2) + Fraction(1, 10**9)


@given(sizes, weights, st.sampled_from([0.125, 0.5, 2.0, 64.0]))
def test_only_the_ratio_of_weights_counts(
    counts: dict[str, int], mix: dict[str, float], factor: float
) -> None:
    every = {name: mix.get(name, 1.0) for name in counts}
    scaled = {name: weight * factor for name, weight in every.items()}
    assert mixed(counts, scaled) == mixed(counts, every)


@given(sizes)
def test_without_weights_everything_is_asked(counts: dict[str, int]) -> None:
    assert mixed(counts, {}) == counts


def plan(mix: dict[str, Any], *, other: int = 20, **keys: Any) -> Plan:
    recipe = {
        "name": "test",
        "model": ModelConfig("some/model"),
        "domains": {"count": {"limit": 20}, "spell": {"limit": other}},
        "sampling": Sampling(samples=2),
        "workload": {"arrival": "gamma", "request_rate": 5, "mix": mix},
        "factors": {"w": ({"loader": {}},)},
        **keys,
    }
    return make_plan(Recipe(**recipe), stand_ins.available())


def asked(load: Load) -> Counter[str]:
    return Counter(r.problem.domain for r in load.requests)


def test_every_arm_and_block_asks_the_same_problems_in_an_order_of_the_blocks() -> None:
    made = plan({"count": 3, "spell": 1})
    loads = [build_load(arm, block) for arm in made.arms for block in range(2)]
    assert [asked(load) for load in loads] == [{"count": 40, "spell": 14}] * 6
    first = {r.id: r.problem for r in loads[0].requests}
    assert all({r.id: r.problem for r in load.requests} == first for load in loads)
    assert {p.id for p in first.values() if p.domain == "spell"} == {str(i) for i in range(7)}
    assert loads[0] == loads[4]  # the baseline and the other arm in block 0
    assert loads[0] != loads[1]


def test_the_stream_is_mixed_throughout() -> None:
    load = build_load(plan({"count": 3}).arms[0], 0)
    halves = [asked(Load(part)) for part in (load.requests[:27], load.requests[27:])]
    assert all(half["count"] > half["spell"] > 0 for half in halves)


def test_chats_are_made_of_what_is_asked() -> None:
    made = plan({}, workload={"arrival": "batch", "turns": 4, "mix": {"spell": 0.25}})
    load = build_load(made.arms[0], 0)
    assert asked(load) == {"count": 40, "spell": 10}
    assert max(len(r.problem.history) for r in load.requests) == 3


def test_plans_count_what_is_asked() -> None:
    made = plan({"count": 4})
    assert estimate(made).requests_per_trial["baseline"] == 2 * (20 + 5)
    assert [n for n, _ in detectable(made).values()] == [20, 5, 25]


@pytest.mark.parametrize(
    ("mix", "message"),
    [
        ({"cuont": 3}, "workload.mix.cuont: is no domain of the recipe. Did you mean 'count'?"),
        ({"count": 0}, "workload: mix.count must be more than 0 and finite, not 0"),
        ({"count": -1}, "workload: mix.count must be more than 0"),
        ({"count": float("inf")}, "workload: mix.count must be more than 0 and finite"),
        ({"count": "most"}, "workload.mix: must be a mapping (a number each)"),
        ([3, 1], "workload.mix: must be a mapping (a number each)"),
        (
            {"count": 100},
            "workload.mix: leaves no problem of spell, as count has only 20; raise "
            "domains.count.limit, or the weight of spell",
        ),
    ],
)
def test_mixes_that_cannot_be(mix: Any, message: str) -> None:
    with pytest.raises(RecipeError) as raised:
        plan(mix)
    assert message in "\n".join(raised.value.problems)
