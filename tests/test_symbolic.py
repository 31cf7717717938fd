"""Formulas as answers: which one is taken for the answer, and what math-verify says of it."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ablate.errors import RecipeError
from ablate.grading import grader, symbolic
from ablate.grading.symbolic import LONGEST_ANSWER, Symbolic, read_formula, same, verified
from ablate.types import Problem

EQUAL = (
    ("\\frac{1}{2}", "0.5"),
    ("\\frac{\\sqrt{2}}{2}", "\\frac{1}{\\sqrt 2}"),
    ("\\left( 3, \\frac{\\pi}{2} \\right)", "(3,\\pi/2)"),
    ("x^2 + 2x + 1", "(x+1)^2"),
    ("5", "x = 5"),
    ("\\text{Evelyn}", "Evelyn"),
    ("10\\%", "10"),
    ("[2,5)", "[2, 5)"),
)
DIFFERENT = (("\\frac{1}{2}", "2"), ("x+1", "x-1"), ("(1,2)", "(2,1)"), ("\\text{Evelyn}", "Ann"))


def asked(reference: str) -> Problem:
    return Problem(id="a-1", domain="a", prompt="?", reference=reference)


@pytest.fixture(scope="module")
def library() -> Any:
    return pytest.importorskip("math_verify")


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("so $x=4$ and \\boxed{\\frac{1}{2}}.", "\\frac{1}{2}"),
        ("The final answer is $\\frac{1}{2}$. I hope it is correct.", "\\frac{1}{2}"),
        ("with $a=1$ we get $b = \\$2$", "b = \\$2"),
        ("then \\(a\\), and \\[ b + 1 \\]", "b + 1"),
        ("it costs 5", "5"),
        ("no", None),
        ("\\boxed{" + "x" * (LONGEST_ANSWER + 1) + "}", None),
    ],
)
def test_which_formula_is_the_answer(text: str, answer: str | None) -> None:
    assert read_formula(text) == answer


@given(st.text(alphabet="$\\()[]{}abc1 \nboxedfinal answer is", max_size=60))
def test_reading_never_raises(text: str) -> None:
    firm, loose = read_formula(text, firm=True), read_formula(text)
    assert firm is None or firm == loose


@pytest.mark.parametrize("piece", ["\\(", "\\[", "$1\n", "\\$", "$", "\\boxed{", "\\boxed{$"])
def test_megabytes_are_read_in_one_go(piece: str) -> None:
    assert len(read_formula(piece * (1_000_000 // len(piece))) or "") <= LONGEST_ANSWER


@pytest.mark.parametrize(("gold", "answer"), EQUAL)
def test_equal_formulas(library: Any, gold: str, answer: str) -> None:
    assert same(gold, gold)
    assert same(gold, answer)
    assert same(f"The answer is $ {gold} $", f"${answer}$")


@pytest.mark.parametrize(("gold", "answer"), DIFFERENT)
def test_different_formulas(library: Any, gold: str, answer: str) -> None:
    assert not same(gold, answer)


def test_outcomes(library: Any) -> None:
    symbolic = grader("symbolic")
    for text, finish, outcome in (
        ("\\boxed{0.5}", "stop", "correct"),
        ("\\boxed{2}", "stop", "wrong"),
        ("\\boxed{\\frac{(}", "stop", "unparsed"),
        ("\\boxed{\\frac{)}}", "stop", "wrong"),
        ("thus $\\frac12$", "stop", "correct"),
        ("thus $\\frac12$", "length", "truncated"),
        ("<think>$\\frac12$", "stop", "unparsed"),
    ):
        given = symbolic.grade(
            asked("\\frac{1}{2}"), text, "stop" if finish == "stop" else "length"
        )
        assert given.outcome == outcome, text


def test_giving_up_is_not_a_verdict(library: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(symbolic, "SECONDS", 1)
    with pytest.raises(TimeoutError, match="more than 1 s"):
        Symbolic().equal("9^{9^{9}}", asked("5"))
    gold: Sequence[Any] = symbolic.parsed("$5$")
    assert verified(gold, [*symbolic.parsed("$9^{9^{9}}$"), *gold])


def test_it_works_in_a_thread(library: Any) -> None:
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(same, "\\frac{7}{2}", "3.5").result()


def test_it_can_be_sent_and_says_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    sent = pickle.loads(pickle.dumps(Symbolic()))  # noqa: S301  # just made
    assert sent.problem_with("x") is None
    assert sent.problem_with(" ") == "it is empty"
    assert "characters" in sent.problem_with("x" * 3000)
    monkeypatch.setattr(symbolic, "find_spec", lambda _: None)
    with pytest.raises(RecipeError, match=r'pip install "ablate-inference\[domains\]"'):
        symbolic.require()
