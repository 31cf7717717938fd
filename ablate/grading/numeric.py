"""Answers that are one number, compared exactly: word problems, AIME."""

from __future__ import annotations

from ablate.grading.base import LONGEST, Grader
from ablate.grading.numbers import first_number, last_number, only_number
from ablate.grading.stated import after_marker, boxed
from ablate.types import Problem

# How GSM8K's own solutions end.
HASHES = "####"


class Numeric(Grader):
    """The number in the last box, after the last ``####`` or "the answer is", or the last one.

    Units, currencies and percent signs beside it are passed over. A box that holds no number, or
    several, is an answer all the same, and a wrong one.
    """

    def read(self, visible: str, problem: Problem, *, firm: bool = False) -> str | None:
        return read_number(visible, firm=firm)

    def equal(self, answer: str, problem: Problem) -> bool:
        return answer == only_number(problem.reference)

    def problem_with(self, reference: str) -> str | None:
        return None if only_number(reference) else f"{reference[:40]!r} is not one number"


def read_number(visible: str, *, firm: bool = False) -> str | None:
    """The number that a visible text gives as its answer; see ``Grader.read`` for ``firm``."""
    box = boxed(visible)
    if box is not None:
        return only_number(box) or box[:LONGEST]
    _, hashes, line = visible.rpartition(HASHES)
    for said in (line.split("\n", 1)[0] if hashes else None, after_marker(visible)):
        number = said and (only_number(said) or first_number(said))
        if number:
            return number
    return None if firm else last_number(visible)
