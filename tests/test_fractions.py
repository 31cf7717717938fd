"""Fractional designs: balance, what they can and cannot tell, and the effects that they show."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from itertools import combinations, product
from typing import Any

import numpy as np
import pytest

from ablate import stats
from ablate.fractions import fraction
from tests.test_plan import ids, plan, refusal

Arms = Mapping[str, Mapping[str, str]]
SIZES = range(4, 17)


def named(chosen: list[tuple[bool, ...]]) -> Arms:
    return {
        "".join(str(int(on)) for on in arm): {
            f"f{i}": "on" if on else "off" for i, on in enumerate(arm)
        }
        for arm in chosen
    }


def shown(comparison: stats.Comparison, value: Mapping[str, float]) -> float:
    """The comparison's average over its settings."""
    sums = [
        sum(sign * value[arm] for arm, sign in zip(s.arms, s.signs, strict=True))
        for s in comparison.settings
    ]
    return float(np.mean(sums))


def planted(factors: int, seed: int) -> dict[str, float]:
    """What each arm of the whole factorial gives: effects alone, and of every two together."""
    rng = np.random.default_rng(seed)
    alone, together = rng.normal(size=factors), rng.normal(size=(factors, factors))
    return {
        "".join(map(str, map(int, arm))): float(
            alone @ np.array(arm)
            + sum(together[i, j] for i, j in combinations(np.flatnonzero(arm), 2))
        )
        for arm in product((False, True), repeat=factors)
    }


@pytest.mark.parametrize("factors", SIZES)
def test_every_three_factors_are_in_every_state_equally_often(factors: int) -> None:
    arms = fraction(factors)
    assert arms[0] == (False,) * factors
    assert len(set(arms)) == len(arms) == 2 * 2 ** int(np.ceil(np.log2(factors)))
    for three in combinations(range(factors), 3):
        counts = Counter(tuple(arm[i] for i in three) for arm in arms)
        assert set(counts.values()) == {len(arms) // 8}


@pytest.mark.parametrize("factors", [4, 5, 6, 8])
def test_effects_are_those_of_the_whole_factorial(factors: int) -> None:
    whole, part = named(list(product((False, True), repeat=factors))), named(fraction(factors))
    value = planted(factors, seed=factors)
    for one, other in zip(stats.main_effects(whole), stats.main_effects(part), strict=True):
        assert one.levels == other.levels
        assert shown(one, value) == pytest.approx(shown(other, value))


def test_five_factors_show_every_interaction() -> None:
    whole, part = named(list(product((False, True), repeat=5))), named(fraction(5))
    value = planted(5, seed=0)
    for one, other in zip(stats.interactions(whole), stats.interactions(part), strict=True):
        assert one.levels == other.levels
        assert shown(one, value) == pytest.approx(shown(other, value))


@pytest.mark.parametrize("factors", [4, 6, 8])
def test_interactions_that_are_mixed_up_are_not_shown(factors: int) -> None:
    assert stats.interactions(named(fraction(factors))) == []


def test_a_missing_arm_leaves_nothing_that_could_mislead() -> None:
    arms = dict(named(fraction(5)))
    del arms["11000"]
    assert stats.main_effects(arms) == []
    assert stats.interactions(arms) == []


FOUR: dict[str, Any] = {
    "w": ({"loader": {"bits": 4}},),
    "d": ({"speculator": {}},),
    "t": ({"set": {"sampling.max_tokens": 64}},),
    "s": ({"set": {"sampling.top_p": 0.5}},),
}


def test_a_recipe_of_four_factors_has_eight_arms() -> None:
    made = plan(factors=FOUR, design="fractional", floor=False).arms
    assert len(made) == 8
    assert made[0].info.id == "baseline"
    counts = Counter(f for a in made for f, level in a.info.levels.items() if level != "off")
    assert set(counts.values()) == {4}


def test_factors_that_do_not_fit_are_refused() -> None:
    three = {k: v for k, v in FOUR.items() if k != "s"}
    assert "fractional needs at least 4 factors; of 3, factorial makes 8 arms" in refusal(
        factors=three, design="fractional"
    )
    more = {**FOUR, "w": ({"loader": {"bits": 4}}, {"loader": {"bits": 3}})}
    assert "takes factors of one level each, and w has more" in refusal(
        factors=more, design="fractional"
    )
    assert len(ids(factors=more)) == 24
