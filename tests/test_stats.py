"""Estimates: published values, properties, coverage by simulation, and degenerate cases."""

from __future__ import annotations

from math import exp, log, sqrt

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from ablate.stats import (
    MIN_CHANGED,
    Estimate,
    Floats,
    Key,
    Pairs,
    accuracy,
    accuracy_difference,
    mcnemar,
    pair,
    ratio,
    scores,
    tango_interval,
)
from ablate.types import Completion, Record

DONE = Completion("r", "", 1, 1, 0, 0.0, 0.0, 1.0, (1.0,), 1.0, "stop")


def record(problem: str, right: bool, sample: int = 0, domain: str = "d") -> Record:
    return Record(DONE, domain, problem, sample, None, "correct" if right else "wrong", "", "")


def paired(n: int, worse: int, better: int) -> Pairs:
    """n problems of which some changed; every other stays right."""
    baseline, arm = np.ones(n), np.ones(n)
    arm[:worse] = 0
    baseline[worse : worse + better] = 0
    return Pairs(arm, baseline, 0, 0)


def swapped(pairs: Pairs) -> Pairs:
    return Pairs(pairs.baseline, pairs.arm, pairs.missing_in_baseline, pairs.missing_in_arm)


shares = st.lists(
    st.tuples(st.sampled_from([0, 1 / 3, 0.5, 2 / 3, 1]), st.sampled_from([0, 1 / 3, 0.5, 1])),
    min_size=1,
    max_size=60,
).map(lambda rows: as_pairs(np.array(rows, dtype=float)))


def as_pairs(rows: Floats) -> Pairs:
    """Columns: the arm's and the baseline's scores."""
    return Pairs(rows[:, 0], rows[:, 1], 0, 0)


# --- scores and pairing


def test_scores_average_over_blocks() -> None:
    found = scores([record("a", True), record("a", False), record("a", True, 1), record("b", True)])
    assert found == {("d", "a", 0): 0.5, ("d", "a", 1): 1.0, ("d", "b", 0): 1.0}


def test_pairs_match_by_domain_problem_and_sample() -> None:
    arm: dict[Key, float] = {("d", "a", 0): 1, ("d", "a", 1): 0, ("d", "b", 0): 1, ("e", "a", 0): 0}
    base: dict[Key, float] = {("d", "a", 0): 0, ("d", "b", 0): 1, ("d", "c", 0): 1}
    found = pair(arm, base)
    assert list(found.arm) == [1, 1]
    assert list(found.baseline) == [0, 1]
    assert (found.better, found.worse) == (1, 0)
    assert found.missing_in_arm == 1  # c
    assert found.missing_in_baseline == 2  # d/a has one more sample, e/a has none


def test_a_problem_counts_once_however_often_it_is_sampled() -> None:
    arm: dict[Key, float] = {("d", "a", s): 1.0 for s in range(9)} | {("d", "b", 0): 0.0}
    base: dict[Key, float] = dict.fromkeys(arm, 0.0)
    found = accuracy_difference(pair(arm, base))
    assert found.n == 2
    assert found.value == 0.5


# --- accuracy of one arm


@pytest.mark.parametrize(("right", "n"), [(0, 10), (1, 1), (17, 20), (20, 20), (500, 1000)])
def test_wilson_agrees_with_scipy(right: int, n: int) -> None:
    found = accuracy({("d", str(i), 0): float(i < right) for i in range(n)})
    expected = scipy_stats.binomtest(right, n).proportion_ci(method="wilson")
    assert found.value == right / n
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


def test_no_answers_no_accuracy() -> None:
    assert accuracy({}) == Estimate(None, None, None, 0, "Wilson")


# --- paired difference


@pytest.mark.parametrize(("n", "worse", "better"), [(21, 7, 1), (44, 1, 0), (300, 4, 9)])
def test_tango_limits_solve_the_published_quartic(n: int, worse: int, better: int) -> None:
    # The closed form of Yang, Sun and Hardin 2012 (Statistics in Medicine 32:1336-1342).
    g = float(scipy_stats.norm.ppf(0.975)) ** 2
    d, changed = better - worse, better + worse
    quartic = [
        n**2 * (n / g + 1) ** 2,
        -n * d * (n / g + 1) * (4 * n / g + 1),
        2 * n * d**2 * (3 * n / g + 2) / g - n**2 * (changed / g + 1),
        n * d * (2 * changed / g + 1) - d**3 * (4 * n / g + 1) / g,
        d**2 * (d**2 / g - changed) / g,
    ]
    roots = [root.real for root in np.roots(quartic) if abs(root.imag) < 1e-9]
    found = tango_interval(n, worse, better)
    assert found == pytest.approx((min(roots), max(roots)), abs=1e-6)


@given(st.integers(1, 200), st.data())
def test_tango_limits_are_where_the_score_test_turns(n: int, data: st.DataObject) -> None:
    worse = data.draw(st.integers(0, n))
    better = data.draw(st.integers(0, n - worse))
    low, high = tango_interval(n, worse, better)
    assert -1 <= low <= (better - worse) / n <= high <= 1
    mirrored = tango_interval(n, better, worse)
    assert mirrored == pytest.approx((-high, -low), abs=1e-7)


@pytest.mark.parametrize("n", [1, 5, 40, 1000])
def test_nothing_changed_is_not_certainty(n: int) -> None:
    found = accuracy_difference(paired(n, 0, 0))
    z2 = float(scipy_stats.norm.ppf(0.975)) ** 2
    assert found.value == 0
    assert (found.low, found.high) == pytest.approx((-z2 / (n + z2), z2 / (n + z2)))
    assert found.method == "Tango score"
    assert mcnemar(paired(n, 0, 0)) == 1


@pytest.mark.parametrize("score", [0.5, 1.0])
def test_everything_changed_alike_is_not_certainty(score: float) -> None:
    found = accuracy_difference(Pairs(np.full(30, score), np.zeros(30), 0, 0))
    assert found.value == score
    assert found.low is not None
    assert found.low < score


def test_one_problem_says_almost_nothing() -> None:
    found = accuracy_difference(paired(1, 1, 0))
    assert found.value == -1
    assert found.high is not None
    assert found.high > 0


def test_no_common_problem_has_no_value() -> None:
    empty = Pairs(np.array([]), np.array([]), 3, 4)
    assert accuracy_difference(empty).value is None
    assert accuracy_difference(empty).n == 0
    assert mcnemar(empty) is None


@given(shares)
@settings(max_examples=50, deadline=None)
def test_identical_arms_differ_by_nothing(pairs: Pairs) -> None:
    found = accuracy_difference(Pairs(pairs.arm, pairs.arm, 0, 0))
    assert found.value == 0
    assert found.low is not None
    assert found.high is not None
    assert found.low < 0 < found.high


@given(shares)
@settings(max_examples=50, deadline=None)
def test_swapping_the_arms_mirrors_the_estimate(pairs: Pairs) -> None:
    one, other = accuracy_difference(pairs), accuracy_difference(swapped(pairs))
    assume(one.value)  # at zero the two draws differ by Monte Carlo error
    assert [other.value, other.low, other.high] == pytest.approx(
        [-(end or 0.0) for end in (one.value, one.high, one.low)], abs=1e-7
    )
    assert mcnemar(pairs) == pytest.approx(mcnemar(swapped(pairs)))


@given(shares, st.integers(0, 1000))
@settings(max_examples=50, deadline=None)
def test_order_of_problems_does_not_matter(pairs: Pairs, seed: int) -> None:
    order = np.random.default_rng(seed).permutation(pairs.arm.size)
    moved = accuracy_difference(Pairs(pairs.arm[order], pairs.baseline[order], 0, 0))
    found = accuracy_difference(pairs)
    assert (moved.low, moved.high) == (found.low, found.high)
    assert moved.value == pytest.approx(found.value)


@given(shares)
@settings(max_examples=50, deadline=None)
def test_estimate_lies_in_its_interval_within_bounds(pairs: Pairs) -> None:
    found = accuracy_difference(pairs)
    assert found.low is not None
    assert found.high is not None
    assert found.value is not None
    assert -1 <= found.low <= found.value <= found.high <= 1


def test_bootstrap_agrees_with_scipy_where_many_problems_change() -> None:
    pairs = paired(500, 60, 25)
    found = accuracy_difference(pairs)
    expected = scipy_stats.bootstrap(
        (pairs.differences,), np.mean, method="percentile", rng=np.random.default_rng(1)
    ).confidence_interval
    assert found.method == "bootstrap over problems"
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=0.006)


def test_method_changes_without_a_jump() -> None:
    few = accuracy_difference(paired(300, 0, MIN_CHANGED - 1))
    many = accuracy_difference(paired(300, 0, MIN_CHANGED))
    assert (few.method, many.method) == ("Tango score", "bootstrap over problems")
    assert few.low is not None
    assert many.low is not None
    assert abs(few.low - many.low) < 0.01


def test_same_seed_same_interval() -> None:
    pairs = paired(200, 20, 30)
    assert accuracy_difference(pairs, seed=3) == accuracy_difference(pairs, seed=3)


@pytest.mark.parametrize(
    ("n", "worse", "better"),
    [(60, 0.06, 0.0), (100, 0.04, 0.02), (300, 0.05, 0.03), (150, 0.3, 0.1), (1000, 0.01, 0.01)],
)
def test_difference_interval_covers(n: int, worse: float, better: float) -> None:
    rng = np.random.default_rng(0)
    tables = rng.multinomial(n, [worse, better, 1 - worse - better], size=400)
    covered = 0
    for w, b, _ in tables:
        found = accuracy_difference(paired(n, w, b), resamples=1000)
        assert found.low is not None
        assert found.high is not None
        covered += found.low <= better - worse <= found.high
    assert 0.92 <= covered / len(tables) <= 0.995


def test_interval_covers_with_several_samples_a_problem() -> None:
    rng = np.random.default_rng(1)
    covered = 0
    for _ in range(400):
        ability = rng.beta(2, 1, size=60)  # problems differ, samples of one problem do not
        base = rng.binomial(4, ability) / 4
        arm = rng.binomial(4, ability * 0.9) / 4
        found = accuracy_difference(Pairs(arm, base, 0, 0), resamples=1000)
        assert found.low is not None
        assert found.high is not None
        covered += found.low <= -0.1 * 2 / 3 <= found.high
    assert 0.92 <= covered / 400 <= 0.98


# --- McNemar


def test_mcnemar_by_hand() -> None:
    assert mcnemar(paired(100, 8, 2)) == pytest.approx(2 * (1 + 10 + 45) / 1024)
    assert mcnemar(paired(10, 3, 3)) == 1


# --- ratios


def test_ratio_by_hand() -> None:
    found = ratio([2.0, 8.0], [1.0, 2.0])
    half = float(scipy_stats.t.ppf(0.975, 1)) * np.std([log(2), log(4)], ddof=1) / sqrt(2)
    assert found.value == pytest.approx(sqrt(8))
    assert (found.low, found.high) == pytest.approx((sqrt(8) * exp(-half), sqrt(8) * exp(half)))
    assert found.n == 2


def test_one_block_has_a_ratio_and_no_interval() -> None:
    assert ratio([3.0], [2.0]) == Estimate(1.5, None, None, 1, "one block, no interval")


def test_blocks_with_a_missing_number_are_left_out() -> None:
    found = ratio([1.0, None, 0.0, 2.0], [1.0, 1.0, 1.0, None])
    assert (found.value, found.n) == (1, 1)
    assert ratio([None], [1.0]).value is None
    assert ratio([], []).n == 0


def test_ratios_of_unequal_length_are_refused() -> None:
    with pytest.raises(ValueError, match="zip"):
        ratio([1.0], [1.0, 2.0])


speeds = st.lists(
    st.tuples(st.floats(0.01, 1e6), st.floats(0.01, 1e6)), min_size=2, max_size=8
).map(lambda rows: ([a for a, _ in rows], [b for _, b in rows]))


@given(speeds)
def test_inverse_ratio_has_the_inverse_interval(values: tuple[list[float], list[float]]) -> None:
    arm, base = values
    one, other = ratio(arm, base), ratio(base, arm)
    assert one.value is not None
    assert one.low is not None
    assert one.high is not None
    assert other.value == pytest.approx(1 / one.value)
    assert (other.low, other.high) == pytest.approx((1 / one.high, 1 / one.low))


@given(speeds)
def test_an_arm_against_itself_is_one(values: tuple[list[float], list[float]]) -> None:
    found = ratio(values[0], values[0])
    assert (found.value, found.low, found.high) == (1, 1, 1)


@pytest.mark.parametrize("blocks", [3, 5, 10])
def test_ratio_interval_covers(blocks: int) -> None:
    rng = np.random.default_rng(2)
    covered = 0
    for _ in range(600):
        machine = rng.lognormal(0, 0.2, blocks)  # what a block's arms share
        arm = 1.2 * machine * rng.lognormal(0, 0.03, blocks)
        found = ratio(list(arm), list(machine * rng.lognormal(0, 0.03, blocks)))
        assert found.low is not None
        assert found.high is not None
        covered += found.low <= 1.2 <= found.high
    assert 0.925 <= covered / 600 <= 0.975
