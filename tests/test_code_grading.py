"""Programs in answers: where they begin and end, and how contest outputs are compared."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ablate.grading import grader
from ablate.grading.code import joined, program_in
from ablate.grading.judged import same_output, same_value, verdict
from ablate.sandbox import Ran, unavailable
from ablate.types import Problem

needs_sandbox = pytest.mark.skipif(unavailable() is not None, reason=str(unavailable()))

lines = st.text(st.characters(exclude_characters="`~\n\r", codec="utf-8"), max_size=30)


@given(st.lists(lines, min_size=1).map("\n".join).filter(str.strip), lines, lines)
def test_a_fenced_program_is_found_whatever_is_around_it(
    code: str, before: str, after: str
) -> None:
    text = f"{before}\n```python\n{code}\n```\n{after}\n```text\n{after}\n```"
    assert program_in(text, closed=True) == f"{code}\n"
    assert program_in(f"{before}\n```py\n{code}") == code


@given(st.text(st.sampled_from("`~ \npython#x="), max_size=60))
def test_any_text_has_a_program_or_none(text: str) -> None:
    closed = program_in(text, closed=True)
    assert closed is None or closed.strip()
    assert closed is None or program_in(text) == closed


@pytest.mark.parametrize(
    ("text", "program"),
    [
        ("```\nx = 1\n```", "x = 1\n"),
        ("```python\nx = 1\n```\nor\n```python\nx = 2\n```", "x = 2\n"),
        ("```python\nx = 1\n```\nprints\n```\n1\n```", "x = 1\n"),
        ("```\nx = 1\n```\n```bash\npython x.py\n```", "x = 1\n"),
        ("```js\nlet x\n```", "let x\n"),
        ("```Python\nx = 1\n```", "x = 1\n"),
        ("````python\nx = '''\n```\n'''\n````", "x = '''\n```\n'''\n"),
        ("```python title=x\nx = 1\n```", "x = 1\n"),
        ("- so\n  ```python\n  if x:\n      y\n  ```", "if x:\n    y\n"),
        ("```python\n```\n", None),
        ("```python\nx = 1", "x = 1"),
        ("x = 1", "x = 1"),
        ("print(1)", "print(1)"),
        ("The answer is 4.", None),
        ("4", None),
        ("yes", None),
        ("", None),
        ("(" * 10_000, None),
        ("`x = 1`", None),
    ],
)
def test_which_block_counts(text: str, program: str | None) -> None:
    assert program_in(text) == program


def test_a_megabyte_of_fences_is_read_quickly() -> None:
    assert program_in("```\nx\n" * 200_000) == "x\n"
    assert program_in("````\n" + "x\n```\n" * 200_000, closed=True) is None


def test_imports_from_the_future_come_first() -> None:
    program = joined("import math", '"""Doc."""\nfrom __future__ import annotations\nx = 1')
    assert program.startswith("from __future__ import annotations\nimport math\n")
    compile(program, "x", "exec")
    assert joined("", "x") == "x"


@needs_sandbox
def test_a_reference_may_be_a_test_program() -> None:
    code = grader("code")
    problem = Problem("1", "own", "Double a number.", "assert double(2) == 4")
    grade = code.grade(problem, "```python\ndef double(x): return 2 * x\n```", "stop")
    assert (grade.outcome, grade.parsed) == ("correct", "passed")
    grade = code.grade(problem, "```python\ndef double(x): return x\n```", "stop")
    assert (grade.outcome, grade.parsed) == (
        "wrong",
        "failed: AssertionError (line 1 of the tests)",
    )
    assert code.problem_with("assert (") == (
        "it is no Python program: '(' was never closed (<tests>, line 1)"
    )
    assert code.problem_with("assert x") is None


@pytest.mark.parametrize(
    ("printed", "right", "same"),
    [
        ("1\n2\n", "1\n2", True),
        ("  1 \n2  \n\n", "1\n2\n", True),
        ("1 2", "1  2", True),
        ("a b", "a  b", False),
        ("1.0", "1", True),
        ("1.00000001", "1", False),
        ("50000000000000001", "50000000000000000", False),
        ("1e2 3", "100 3.0", True),
        ("1\n\n2", "1\n2", False),
        ("1", "1\n2", False),
        ("YES", "Yes", False),
        ("", "", True),
        ("1 x", "1 x ", True),
        ("x 1.0", "x 1", False),
        ("sNaN", "1", False),
    ],
)
def test_outputs_are_compared_as_livecodebench_does(printed: str, right: str, same: bool) -> None:
    assert same_output(printed, right) is same


@pytest.mark.parametrize(
    ("returned", "right", "same"),
    [
        ("[1, 2]", "[1,2]", True),
        ("1.0", "1", True),
        ("true", "1", True),
        ('"a"', '"b"', False),
        ("", "1", False),
        ("[" * 10**5, "1", False),
    ],
)
def test_results_are_compared_as_values(returned: str, right: str, same: bool) -> None:
    assert same_value(returned, right) is same


def test_a_verdict_names_the_first_case_that_failed() -> None:
    ran = [Ran("passed", output="1"), Ran("passed", output="2"), Ran("failed", "KeyError")]
    assert verdict(ran, ["1", "2", "3"], same_output).detail == "KeyError (test 3 of 3)"
    assert verdict(ran, ["1", "3", "3"], same_output).detail == "wrong answer (test 2 of 3)"
    assert verdict(ran[:2], ["1", "2"], same_output).passed
    assert not verdict(ran[:1], ["1", "2"], same_output).passed
    assert not verdict([], [], same_output).passed
    slow = [Ran("out_of_wall_time", "out of wall time")]
    assert verdict(slow, ["1"], same_output).status == "out_of_wall_time"
