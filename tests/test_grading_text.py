"""Where answers are stated, letters, and text: what is read, and that it never takes long."""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ablate.errors import RecipeError
from ablate.grading import GRADERS, grader
from ablate.grading.base import LONGEST
from ablate.grading.choice import Choice, letter
from ablate.grading.exact import Exact, normalized
from ablate.grading.stated import after_marker, boxed
from ablate.types import FinishReason, Problem

FOUR = Problem("", "", "", "C", payload=("red", "green", "blue", "12"))
ANY = Problem("", "", "", "(C)")

PIECES = (
    *("\\boxed{", "\\fbox{", "\\boxed ", "\\text{", "{", "}", "\\{", "\\}", "\\\\", "$", "5", "C"),
    *("(", ")", ".", "A", "I", " ", "\n", "*", "answer", "Answer:", "the answer is ", "option is"),
)
any_text = st.one_of(st.text(), st.lists(st.sampled_from(PIECES)).map("".join))


@pytest.mark.parametrize(
    ("text", "content"),
    [
        (r"\boxed{5}", "5"),
        (r"\boxed{5} or \boxed{6}", "6"),
        (r"\boxed{\frac{1}{2}}, not \boxed{", r"\frac{1}{2}"),
        (r"\boxed{\{1, 2\}}", r"\{1, 2\}"),
        (r"\boxed{a \\{b}}", r"a \\{b}"),
        (r"\boxed{x = \boxed{7}}", "7"),
        (r"\boxed{5} goes into \boxed{ }", "5"),
        (r"\boxed 5.", "5"),
        (r"\boxed {.5}", ".5"),
        (r"$\fbox{5}$", "5"),
        (r"\boxed{5", None),
        (r"\boxedness{5}", None),
        ("5", None),
    ],
)
def test_the_last_complete_box_counts(text: str, content: str | None) -> None:
    assert boxed(text) == content


@pytest.mark.parametrize(
    ("text", "stated"),
    [
        ("Final Answer: The final answer is $5$. I hope it is correct.", "5"),
        ("the answer is 4. No, the answer is 5.\nDone", "5"),
        ("**Answer:** 5", "5"),
        ("**Answer**: `5`", "5"),
        ("**Final Answer:**\n\n$$5$$\n", "5"),
        (r"The answer is \(x^2\).", "x^2"),
        ("Answer: .5", ".5"),
        ("Answer: 5\n\nThe answer is", "5"),
        ("an answer is 5", None),
        ("Answer:", None),
    ],
)
def test_the_last_statement_counts(text: str, stated: str | None) -> None:
    assert after_marker(text) == stated


@settings(deadline=None)
@given(any_text, st.text(st.characters(exclude_characters="{}\\")).filter(str.strip))
def test_a_box_at_the_end_is_always_found(before: str, content: str) -> None:
    found = boxed(before.rstrip("\\") + "\\boxed{" + content + "}")
    assert found == content.strip().rstrip(".,;: ") or not content.strip(" .,;:\n\t")


@given(
    any_text, any_text, st.sampled_from(["choice", "exact"]), st.sampled_from(["stop", "length"])
)
def test_any_output_is_graded(text: str, reference: str, name: str, reason: FinishReason) -> None:
    problem = Problem("", "", "", reference, payload=("a", "b", "c") if name == "choice" else None)
    grade = grader(name).grade(problem, text, reason)
    assert (grade.parsed is None) == (grade.outcome in ("unparsed", "truncated"))
    assert name == "exact" or grade.parsed in (None, "A", "B", "C")
    assert len(grade.parsed or "") <= LONGEST


@pytest.mark.parametrize(
    ("text", "chosen"),
    [
        (r"\boxed{C}", "C"),
        (r"\boxed{c}", "C"),
        (r"$\boxed{\text{(C)}}$", "C"),
        (r"\boxed{\mathbf{C}}", "C"),
        (r"\boxed{\text{C. blue}}", "C"),
        (r"\boxed{(C)\ \text{blue}}", "C"),
        (r"\boxed{\text{Option C}}", "C"),
        (r"\boxed{A} at first, then \boxed{C}", "C"),
        (r"\boxed{12}. The answer is (C)", "C"),
        ("the answer is (A). No, the answer is (C).", "C"),
        ("The correct option is C", "C"),
        ("Answer: C", "C"),
        ("**Answer:** **(C)** blue", "C"),
        ("the answer is $\\text{C}$", "C"),
        ("ANSWER: C", "C"),
        ("The answer is C because it is blue", "C"),
        ("The answer is A because it is red", "A"),
        ("The answer is A.", "A"),
        ("I think\n(C) blue", "C"),
        ("C", "C"),
        ("The answer is A catalyst", None),
        ("The answer is I do not know", None),
        ("The answer is Carbon", None),
        ("The answer is C = 5", None),
        ("Option A is red. The answer is not C.", None),
        (r"\boxed{A, C}", None),
        ("The answer is (A) or (C)", None),
        (r"\boxed{E}", None),
        ("The answer is (A). No, the answer is (E).", None),
        ("<think>C</think> blue", None),
    ],
)
def test_letters(text: str, chosen: str | None) -> None:
    grade = Choice().grade(FOUR, text, "stop")
    assert grade.parsed == chosen
    assert grade.outcome == {"C": "correct", None: "unparsed"}.get(chosen, "wrong")


@pytest.mark.parametrize("grading", [Choice(), Exact()], ids=["choice", "exact"])
def test_of_an_output_cut_off_only_firm_answers_count(grading: Choice | Exact) -> None:
    assert grading.grade(ANY, "C", "stop").outcome == "correct"
    assert grading.grade(ANY, "C", "length").outcome == "truncated"
    assert grading.grade(ANY, "Answer: C\nand", "length").outcome == "correct"
    assert grading.grade(ANY, "<think> \\boxed{C}", "length").outcome == "truncated"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("(A)", "A"),
        ("True", r"\text{true}"),
        ("yes", '"Yes."'),
        ("] ] ) >", r"]]) \rangle"),
        ("a b c", "a, b,  c"),
        ("it\u2019s", "it's"),
        ("{", r"\{"),
    ],
)
def test_what_is_mere_writing_does_not_count(one: str, other: str) -> None:
    assert normalized(one) == normalized(other)


@pytest.mark.parametrize(("one", "other"), [("(A)", "(B)"), ("1,000", "1000"), ("a b", "ab")])
def test_what_is_more_than_writing_counts(one: str, other: str) -> None:
    assert normalized(one) != normalized(other)


@settings(deadline=None)
@given(any_text)
def test_text_equals_itself_when_boxed(text: str) -> None:
    problem = Problem("", "", "", text)
    answer = Exact().read(f"\\boxed{{{text}}}", problem)
    if "{" not in text and "}" not in text and "\\" not in text and normalized(text):
        assert answer is not None
        assert Exact().equal(answer, problem)


def test_a_reference_that_nothing_could_equal_is_refused() -> None:
    assert Exact().problem_with(" ") == "it is empty"
    assert Choice().problem_with("blue") == "'blue' is not the letter of a choice"
    assert Choice().problem_with("(c)") is None
    assert letter("(c)") == "C"


@pytest.mark.parametrize("name", ["choice", "exact"])
def test_graders_go_to_other_processes(name: str) -> None:
    assert type(pickle.loads(pickle.dumps(grader(name)))) is type(grader(name))  # noqa: S301


def test_an_unknown_grader_is_named() -> None:
    with pytest.raises(RecipeError, match=r"no grader 'exat'\. Did you mean 'exact'\?"):
        grader("exat")
    assert {"choice", "code", "exact", "numeric", "symbolic"} == set(GRADERS)


MANY = 100_000
ENDLESS: dict[str, Callable[[], str]] = {
    "open boxes": lambda: r"\boxed{" * MANY,
    "nested boxes": lambda: r"\boxed{" * MANY + "}" * MANY,
    "empty boxes": lambda: r"\boxed{  }" * MANY,
    "open braces in a box": lambda: r"\boxed{" + "{" * 10 * MANY,
    "latex in a box": lambda: r"\boxed{" + r"\text{a}" * MANY + "}",
    "open text in a box": lambda: r"\boxed{" + r"\text{" * MANY + "}" * (MANY + 1),
    "markers": lambda: "the answer is " * MANY,
    "markers with lines": lambda: "Answer:\n" * MANY,
    "spaces": lambda: "Answer:" + " " * 10 * MANY + "x",
    "stars": lambda: "answer" + "*" * 10 * MANY,
    "open math": lambda: "Answer: " + r"\(" * MANY + "x" + "." * 10 * MANY + "x",
    "wrapped": lambda: "the answer is " + r"\text{" * MANY,
    "options": lambda: "the option is option " * MANY,
}


@pytest.mark.parametrize("name", ENDLESS)
def test_reading_takes_time_in_proportion(name: str) -> None:
    text = ENDLESS[name]()
    began = time.process_time()
    for grading in (Choice(), Exact()):
        grading.grade(FOUR, text, "length")
    assert time.process_time() - began < 3
