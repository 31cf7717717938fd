"""What is expected of a length: the line through those that ended, and what outgrew it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ablate_schedulers.lengths import LengthHistory, Line
from tests.local.simulation import Job, sequence


def history(*ended: Job) -> LengthHistory:
    found = LengthHistory()
    for number, job in enumerate(ended):
        seq = sequence(number, job)
        seq.tokens += [0] * job.output
        found.learn(seq)
    return found


def asked(made: int = 0, domain: str = "a", difficulty: float | None = None, most: int = 40) -> Job:
    return Job(1, made, domain=domain, difficulty=difficulty, most=most)


def expected(found: LengthHistory, job: Job) -> float:
    seq = sequence(99, job)
    seq.tokens += [0] * job.output
    return found.remaining(seq)


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(1, 500)), min_size=2), st.integers(0, 9))
def test_the_line_is_that_of_least_squares(points: list[tuple[int, int]], x: int) -> None:
    line = Line()
    for at, length in points:
        line.add(float(at), length)
    xs, ys = np.array(points, dtype=float).T
    sloping = len(set(xs)) > 1
    wanted = np.polyval(np.polyfit(xs, ys, 1), x) if sloping else ys.mean()
    assert line.at(float(x)) == pytest.approx(float(wanted), rel=1e-6, abs=1e-6)


def test_a_length_is_its_groups_mean() -> None:
    found = history(asked(10), asked(20), asked(7, domain="b"), asked(1, most=8))
    assert expected(found, asked()) == 15
    assert expected(found, asked(domain="b")) == 7
    assert expected(found, asked(most=8)) == 1


def test_of_an_unknown_group_the_limit_is_expected() -> None:
    assert expected(history(asked(10)), asked(domain="c")) == 40
    assert expected(history(asked(10)), asked(3, domain="c")) == 37
    assert expected(history(asked(10)), asked(difficulty=1.0)) == 40


def test_a_length_follows_the_difficulty_and_keeps_to_the_limit() -> None:
    found = history(asked(10, difficulty=1.0), asked(20, difficulty=2.0))
    assert expected(found, asked(difficulty=3.0)) == pytest.approx(30)
    assert expected(found, asked(difficulty=9.0)) == 40
    assert expected(found, asked(difficulty=-9.0)) == 1


def test_what_ran_on_is_expected_to_be_longer() -> None:
    """Of 10, 20 and 30, the mean is 20; of those over 15 tokens, 25; over 30 there is none."""
    found = history(asked(10), asked(20), asked(30))
    assert expected(found, asked(15)) == 10
    assert expected(found, asked(25)) == 5
    assert expected(found, asked(31)) == 9
