"""The domain asks and grades as it should: ablate's own checks, and a few answers by hand."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from ablate.testing import check_domain
from ablate.types import Problem

from ablate_countdown import Countdown
from ablate_countdown.expression import evaluate


def problem(reference: str) -> Problem:
    return Problem(
        id="one", domain="countdown", prompt="?", reference=reference, difficulty=3, solution=""
    )


def test_it_asks_and_grades_as_it_should() -> None:
    check_domain(Countdown())


def test_references_reach_the_target_with_the_numbers_of_the_prompt() -> None:
    for asked in Countdown(limit=200).problems():
        target, numbers = asked.prompt.removeprefix("Make ").split(" with")[0].split(" from ")
        found = evaluate(asked.reference)
        assert found.value == int(target)
        given = [int(n) for n in numbers.removeprefix("the numbers ").split(", ")]
        assert sorted(found.numbers) == sorted(given)
        assert asked.difficulty == len(given)


def puzzles(problems: Sequence[Problem]) -> set[tuple[object, ...]]:
    """Numbers in order and target of each, so that it is known again in another order."""
    solved = [evaluate(problem.reference) for problem in problems]
    return {(found.value, *sorted(found.numbers)) for found in solved}


def test_training_puzzles_are_no_test_puzzles_whatever_the_seeds() -> None:
    small = [Countdown(limit=400, seed=seed, max_numbers=3) for seed in range(3)]
    test = set().union(*(puzzles(domain.problems()) for domain in small))
    train = set().union(*(puzzles(small[0].training(400, seed)) for seed in range(3)))
    assert len(test) > 400
    assert not test & train


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("(25 - 1) * 2", "(25-1)*2"),
        ("First 3 + 4 = 7, so 3 + 4 * 2 = 11.", "3+4*2"),
        (r"\boxed{(25 - 1) \times 2}", "(25-1)*2"),
        ("25 \u00d7 2 \u2212 1 = 49", "25*2-1"),
        ("- (25 - 1) * 2", "(25-1)*2"),
        ("12", None),
        ("I cannot do it.", None),
        ("(3 + 4", None),
        ("3 / 0", None),
    ],
)
def test_the_last_expression_is_the_answer(text: str, answer: str | None) -> None:
    assert Countdown().extract(text) == answer


@pytest.mark.parametrize(
    ("answer", "right"),
    [
        ("(25-1)*2", True),
        ("2*(25-1)", True),
        ("25+25-2", False),  # 25 twice
        ("25*2-2", False),  # 2 twice
        ("50-2", False),  # 50 was not given
        ("25*2-1", False),  # 49
        ("__import__('os')", False),
        ("9**9**9", False),
    ],
)
def test_any_expression_of_the_numbers_that_is_worth_the_target_is_right(
    answer: str, right: bool
) -> None:
    assert Countdown().is_correct(answer, problem("(25 - 1) * 2")) is right


def test_numbers_may_be_left_out() -> None:
    assert Countdown().is_correct("5*2", problem("5 * (3 - 1)")) is False
    assert Countdown().is_correct("4*6", problem("4 * 6 * (3 - 2)")) is True


def test_values_are_exact() -> None:
    assert evaluate("1 / 3 * 3").value == 1
    assert evaluate("10 - 4 - 3").value == 3


@pytest.mark.parametrize(
    "text", ["", "1 +", "* 2", "1 2", "2 3 + 1", "-1", "1)", "1" * 200, "((((1"]
)
def test_what_is_no_expression_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        evaluate(text)


@pytest.mark.parametrize(
    "options", [{"min_numbers": 2}, {"max_numbers": 7}, {"min_numbers": 6, "max_numbers": 5}]
)
def test_sizes_are_from_3_to_6(options: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="from 3 to 6"):
        Countdown(**options)
