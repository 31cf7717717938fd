"""Numbers as answers: read from what a model writes, and compared exactly."""

from __future__ import annotations

import pickle
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ablate.grading import grader
from ablate.grading.numbers import DIGITS, first_number, last_number, only_number
from ablate.grading.numeric import Numeric, read_number
from ablate.types import Problem

integers = st.integers(-(10**12), 10**12)
denominators = st.integers(1, 10**6)

WHOLE = (
    "{n}",
    "{n:,}",
    "${n:,}",
    "\\${n}",
    "{n}.00",
    "{n} %",
    "{n}\\%",
    "{n} \\text{{ dollars}}",
    "\\text{{{n} dollars}}",
    "x = {n}",
    "{n}\\text{{ cm}}^2",
    "{n}^\\circ",
    "\\frac{{{n}}}{{1}}",
    "\\dfrac{{{n}}}{{1}}",
    "{n} \\times 10^{{0}}",
    "{n}e0",
    "\\left({n}\\right)",
    "a + b = {n}",
)
PLACES = (
    "so it is \\boxed{{{}}}.",
    "1 + 1 = 2, but the final answer is {}",
    "7\n#### {}",
    "First 5. Answer: {}\n",
    "5 and 7 make {}",
)

ADVERSARIAL = (
    "1,",
    "111,",
    "1/",
    "\\frac{",
    "\\frac{1}",
    "1 ",
    "9",
    "-",
    "$",
    "10^{",
    "1 1/",
    "\\text{",
    "1e",
    ".1",
    "1 x 10^",
    "1\\frac{1}{",
    "\\boxed{",
    "####",
    "(-",
)


def asked(reference: str) -> Problem:
    return Problem(id="a-1", domain="a", prompt="?", reference=reference)


@given(integers, st.sampled_from(WHOLE))
def test_a_whole_number_is_read_back_however_it_is_written(n: int, form: str) -> None:
    assert only_number(form.format(n=n)) == str(n)


@given(integers, st.sampled_from(WHOLE), st.integers(1, 10**6))
def test_another_number_is_not_equal(n: int, form: str, by: int) -> None:
    assert only_number(form.format(n=n + by)) != only_number(str(n))


@given(integers, st.sampled_from(PLACES))
def test_an_answer_is_found_where_it_stands(n: int, place: str) -> None:
    assert read_number(place.format(f"{n:,}")) == str(n)


@given(integers, denominators, integers, denominators)
def test_fractions_are_equal_exactly_when_their_values_are(n: int, d: int, m: int, e: int) -> None:
    one, other = only_number(f"{n}/{d}"), only_number(f"\\frac{{{m}}}{{{e}}}")
    assert (one == other) == (Fraction(n, d) == Fraction(m, e))
    assert one == only_number(f"\\frac{{{n * 6}}}{{{d * 6}}}")


@given(integers, st.integers(0, 12), st.integers(0, 5))
def test_a_decimal_equals_its_fraction(n: int, places: int, zeros: int) -> None:
    digits = str(abs(n)).rjust(places + 1, "0")
    point = len(digits) - places
    decimal = f"{'-' if n < 0 else ''}{digits[:point]}.{digits[point:]}{'0' * zeros}".rstrip(".")
    assert only_number(decimal) == only_number(f"{n}/{10**places}")


@given(
    st.text(alphabet="0123456789.,$%-+/^{}()[]=#\\ \nfracboxedtextimes\u00d7 \u2212", max_size=60)
)
def test_nothing_raises(text: str) -> None:
    for read in (only_number, first_number, last_number, read_number):
        found = read(text)
        assert found is None or found == found.strip() != ""


@given(st.text(max_size=80))
def test_nothing_raises_on_any_text(text: str) -> None:
    assert read_number(text, firm=True) is None or "boxed" in text or "answer" in text.lower()


@pytest.mark.parametrize("piece", ADVERSARIAL)
def test_long_texts_are_read_in_one_go(piece: str) -> None:
    """Anything quadratic would take hours here."""
    text = piece * (100_000 // len(piece))
    for wrapped in (text, f"\\boxed{{{text}}}", f"Answer: {text}"):
        assert len(read_number(wrapped) or "") <= len(text)


def test_the_last_number_ends_where_its_digits_do() -> None:
    """Python up to 3.11.4 can end a possessive group after what did not match: it made 49 of it."""
    assert last_number("so it is 7.^2 and") == "7"


def test_a_number_of_a_million_digits_is_compared_and_cut() -> None:
    long = "1" + "0" * 1_000_000
    numeric = Numeric()
    assert numeric.grade(asked(long), f"\\boxed{{{long}.00}}", "stop").outcome == "correct"
    grade = numeric.grade(asked("1"), f"\\boxed{{{long}}}", "stop")
    assert (grade.outcome, len(grade.parsed or "")) == ("wrong", 200)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("3/4", "0.75"),
        ("1\\frac{1}{2}", "1.5"),
        ("1 1/2", "1.5"),
        ("\\frac12", "0.5"),
        ("-\\frac{2}{6}", "-1/3"),
        ("2.5 \\times 10^{3}", "2500"),
        ("1.5e-3", "0.0015"),
        ("2^{10}", "1024"),
        ("033", "33"),
        ("-$1{,}234.50", "-1234.5"),
        ("1\\,234", "1234"),
        ("- 3", "-3"),
        ("-0.0", "0"),
        (".5", "0.5"),
        ("12 + 6 = 18 \\text{ eggs}", "18"),
        ("2\\pi", None),
        ("3x", None),
        ("3, 4", None),
        ("(1, 2)", None),
        ("\\frac{x}{2}", None),
        ("\\sqrt{2}", None),
        ("5!", None),
        ("x_1", None),
        ("1/0", None),
        ("10^{999999999}", None),
        (f"1/{'7' * (DIGITS + 1)}", None),
        ("eighteen", None),
        ("", None),
    ],
)
def test_what_is_a_number(text: str, number: str | None) -> None:
    assert only_number(text) == number


@pytest.mark.parametrize(
    ("text", "finish", "outcome", "parsed"),
    [
        ("<think>\\boxed{17}</think>It is \\boxed{18 \\text{ dollars}}.", "stop", "correct", "18"),
        ("<think>18", "stop", "unparsed", None),
        ("It is eighteen.", "stop", "unparsed", None),
        ("It makes 17 + 1 = 18", "stop", "correct", "18"),
        ("It makes 17 + 1 = 18", "length", "truncated", None),
        ("The final answer is 18.\nI chec", "length", "correct", "18"),
        ("The answer is 17.\nI chec", "length", "wrong", "17"),
        ("\\boxed{18, 19}", "stop", "wrong", "18, 19"),
        ("\\boxed{1", "length", "truncated", None),
    ],
)
def test_outcomes(text: str, finish: str, outcome: str, parsed: str | None) -> None:
    grade = Numeric().grade(asked("18.0"), text, "length" if finish == "length" else "stop")
    assert (grade.outcome, grade.parsed) == (outcome, parsed)


def test_it_is_known_by_name_and_can_be_sent() -> None:
    numeric = pickle.loads(pickle.dumps(grader("numeric")))  # noqa: S301  # just made
    assert isinstance(numeric, Numeric)
    assert numeric.problem_with("1,234") is None
    assert numeric.problem_with("x") == "'x' is not one number"
