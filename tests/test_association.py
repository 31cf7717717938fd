"""Correlations, slopes and knees with their intervals."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from ablate.stats import Floats, knee, spearman, theil_sen


def array(*values: float) -> Floats:
    return np.array(values, dtype=np.float64)


def by_scipy(x: Floats, y: Floats) -> float:
    return float(scipy_stats.spearmanr(list(x), list(y)).statistic)


LEVELS = st.lists(st.tuples(st.integers(0, 4), st.integers(-20, 20)), min_size=5, max_size=40).map(
    lambda pairs: array(*(float(v) for pair in pairs for v in pair)).reshape(-1, 2)
)


@given(LEVELS)
def test_spearman_is_scipys(drawn: Floats) -> None:
    x, y = drawn[:, 0], drawn[:, 1]
    found = spearman(x, y)
    if not np.ptp(x) or not np.ptp(y):
        assert found.value is None
        return
    assert found.value == pytest.approx(by_scipy(x, y))
    if found.low is not None and found.high is not None and found.value is not None:
        assert -1 <= found.low <= found.value <= found.high <= 1


@given(LEVELS)
def test_theil_sen_is_the_median_of_all_pairs(drawn: Floats) -> None:
    pairs = combinations(drawn, 2)
    slopes = [(b[1] - a[1]) / (b[0] - a[0]) for a, b in pairs if a[0] != b[0]]
    found = theil_sen(drawn[:, 0], drawn[:, 1])
    if not slopes:
        assert found.value is None
        return
    assert found.value == pytest.approx(np.median(slopes))
    if not np.ptp(drawn[:, 1]):
        assert found.low is None
        return
    assert found.low is not None
    assert found.high is not None
    assert found.low <= found.value <= found.high  # type: ignore[operator]


def test_a_perfect_order_is_no_certainty() -> None:
    found = spearman(array(1, 2, 3, 4, 5), array(2, 4, 6, 8, 11))
    assert (found.value, found.low) == (1, None)


@pytest.mark.parametrize("n", [5, 11, 12, 18, 43])
@pytest.mark.parametrize("odd", [0.0, 1.0])
def test_answers_of_one_length_have_no_slope(n: int, odd: float) -> None:
    lengths = np.full(n, 3.0)
    lengths[0] += odd  # the last bit of the variance once came out below zero
    assert theil_sen(np.arange(n, dtype=np.float64) % 5, lengths).value == 0


def test_intervals_hold_the_truth() -> None:
    """Five levels of difficulty, heavy-tailed lengths: the slope is 10, the correlation known."""
    rng = np.random.default_rng(0)
    x = np.repeat(np.arange(5.0), 20)
    many = 5 * rng.standard_t(3, size=(400, x.size))
    whole = np.tile(np.arange(5.0), 40_000)
    truth = by_scipy(whole, 5 * whole + 5 * rng.standard_t(3, whole.size))
    slopes = [theil_sen(x, 10 * x + noise) for noise in many]
    ranks = [spearman(x, 5 * x + noise) for noise in many]
    assert np.mean([e.low <= 10 <= e.high for e in slopes]) > 0.92  # type: ignore[operator]
    assert np.mean([e.low <= truth <= e.high for e in ranks]) > 0.92  # type: ignore[operator]


def test_knee_is_the_first_budget_that_is_good_enough() -> None:
    scores = np.zeros((100, 4))
    scores[:50, 1:] = 1
    scores[50:89, 2:] = 1
    scores[89:90, 3:] = 1  # one problem more with the largest
    found = knee(scores, margin=0.02)
    assert found is not None
    assert (found.place, found.low, found.high) == (2, 2, 2) or found.high == 3
    assert found.sure > 0.9
    strict = knee(scores, margin=0.0)
    assert strict is not None
    assert strict.place == 3
    assert 0.5 < strict.sure < 0.8  # a resample without that problem has it at 2


@given(st.integers(1, 5), st.integers(1, 20), st.floats(0, 0.5), st.integers(0, 99))
def test_knee_lies_within_its_interval(
    budgets: int, problems: int, margin: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    scores = np.sort(rng.random((problems, budgets)), axis=1)
    found = knee(scores, margin, resamples=50)
    assert found is not None
    assert 0 <= found.low <= found.high < budgets
    assert 0 <= found.sure <= 1
    means = scores.mean(axis=0)
    assert means[found.place] >= means.max() - margin - 1e-9


def test_no_problem_has_no_knee() -> None:
    assert knee(np.empty((0, 3)), 0.01) is None
