"""Multiple choice: the letter of the chosen answer."""

from __future__ import annotations

import re
from collections.abc import Sequence
from string import ascii_uppercase

from ablate.grading.base import Grader
from ablate.grading.exact import plain
from ablate.grading.stated import boxed
from ablate.types import Problem

# "C", "(C)", "C. Paris", "Option C" as a whole statement. "A cat" is none: A can be a word.
NAMED = r"(?:(?:the )?(?:correct |right |final )?(?:option|choice|answer)\b\s?(?:is\b)?\s?:?\s?)?"
WHOLE = re.compile(
    NAMED + r"(?:[\[({]\s?([A-Z])\s?[\])}]|([A-Z])(?=[.:)]|\s[-\u2013\u2014]|$))", re.IGNORECASE
)
ANOTHER = re.compile(r"\s{0,2}(?:,|and|or|&|/)\s{0,2}[\[({]?[A-Z][\])}]?(?!\w)", re.IGNORECASE)

# Within a sentence. A and I can be words there, so what follows them must be no other word.
SAYING = re.compile(
    r"\b(?i:answer|option|choice)\b[*_ \t]{0,4}(?:(?i:is|would be|must be|should be)\b|[:\uff1a])"
    r"(?:[\s*_:$\"'`]|\\[(\[]|\\(?:text|textbf|mathrm|mathbf)\s?\{"
    r"|(?i:option|choice|letter|therefore|thus|indeed|clearly|probably)\b){0,12}"
    r"(?:[\[({]\s?(?P<held>[A-Z])\s?[\])}]|(?P<bare>[A-Z])"
    r"(?:(?<![AI])(?![\w'\u2019]|\s?=)"
    r"|(?=[.,;:)*$}\"`\\]|\s*$|\s*\n|\s+(?i:because|since|as|with|which|for|and|or)\b)))"
)


class Choice(Grader):
    """The letter in the last box, or the last that is said to be the answer, or the last line.

    ``Problem.payload`` holds the texts of the choices; None: any letter can be one. A letter that
    stands for no choice, or two at once, is no answer.
    """

    def read(self, visible: str, problem: Problem, *, firm: bool = False) -> str | None:
        found = letter(boxed(visible) or "") or said(visible)
        if found is None and not firm:
            found = letter(visible.strip().rpartition("\n")[2])
        return found if found and found in offered(problem.payload) else None

    def equal(self, answer: str, problem: Problem) -> bool:
        return answer == letter(problem.reference)

    def problem_with(self, reference: str) -> str | None:
        return None if letter(reference) else f"{reference[:40]!r} is not the letter of a choice"


def offered(choices: Sequence[str] | None) -> str:
    """The letters that stand for choices."""
    return ascii_uppercase if choices is None else ascii_uppercase[: len(choices)]


def letter(statement: str) -> str | None:
    """The letter that a whole statement gives, such as a box's content or a line; None if none."""
    text = plain(statement)
    found = WHOLE.match(text)
    if found is None or ANOTHER.match(text, found.end()):
        return None
    return (found[1] or found[2]).upper()


def said(text: str) -> str | None:
    """The last letter that a sentence says to be the answer: "the correct option is (B)"."""
    found = [m for m in SAYING.finditer(text) if not ANOTHER.match(text, m.end())]
    return found[-1]["held"] or found[-1]["bare"] if found else None
