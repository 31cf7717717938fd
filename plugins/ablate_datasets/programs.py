"""What the domains of programs have in common: programs are run, so there must be a sandbox."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from ablate.errors import RecipeError
from ablate.grading.code import graded
from ablate.sandbox import Limits, run_tests, unavailable
from ablate.types import Outcome, Problem
from ablate_datasets.dataset import DatasetDomain
from ablate_datasets.source import Row

ASK = "Put the whole program into one block that begins with ```python."
ASK_FUNCTION = (
    "Complete this function. Put it, with the imports it needs, into one block that begins with "
    "```python."
)

# Three seconds are what the harness's metric allows, of the clock.
LIMITS = Limits(cpu=3, wall=30)


@dataclass(frozen=True)
class ProgramDomain(DatasetDomain):
    """Answers are Python programs, judged by running them."""

    name: ClassVar[str]
    slow: ClassVar[bool] = True
    grading_timeout: ClassVar[float] = LIMITS.wall + 15
    timed_out: ClassVar[Outcome] = "wrong"
    grading: ClassVar[str] = "code"

    def problems(self) -> Sequence[Problem]:
        why = unavailable()
        if why:
            raise RecipeError([why])
        return super().problems()


def as_the_harness(program: str, tests: str) -> tuple[bool, str]:
    """The verdict of the metric code_eval, and what happened.

    It joins both with a line break; here each is compiled by itself, a break at its end.
    """
    grade = graded(run_tests(f"{program}\n\n", tests, LIMITS))
    return grade.outcome == "correct", grade.parsed or ""


def text_in(row: Row, field: str, index: int, name: str) -> str:
    """A field that must be text. Raises RecipeError naming the row."""
    value = row[field]
    if not isinstance(value, str) or not value.strip():
        raise RecipeError([f"{name}: row {index + 1}: {field} must be text, not {_shown(value)}"])
    return value


def tests_in(row: Row, field: str, index: int, name: str) -> list[str]:
    """A field that must be a list of tests. Raises RecipeError naming the row."""
    value = row[field]
    fine = isinstance(value, list | tuple) and all(isinstance(one, str) for one in value)
    if not fine or not value:
        problem = f"{field} must be a list of tests, not {_shown(value)}"
        raise RecipeError([f"{name}: row {index + 1}: {problem}"])
    return list(value)


def counted(tests: int) -> str:
    """How many tests there are, in words: what a record keeps as the reference."""
    return f"{tests} test{'s' * (tests != 1)}"


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
