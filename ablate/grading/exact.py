"""Answers that are compared as text, after what is mere writing has been taken off both."""

from __future__ import annotations

import re

from ablate.grading.base import Grader
from ablate.grading.stated import after_marker, boxed, clean
from ablate.types import Problem

WRAPPED = re.compile(
    r"\\(?:text|textbf|textit|textrm|texttt|textsf|mathrm|mathbf|mathit|mathtt|mathsf|operatorname)"
    r"\s?\{([^{}]*)\}"
)
NESTED = 3
ESCAPED = re.compile(r"\\([{}_%$&#])")
ANGLES = {"\\langle": "<", "\\rangle": ">"}
SPACE = re.compile(r"(?:\\[,;:! ]|~|\s)+")
AROUND_BRACKETS = re.compile(r" ?([][(){}<>]) ?")
COMMA = re.compile(r", ")
QUOTES = str.maketrans(dict.fromkeys("\u2018\u2019\u201c\u201d", '"') | {"'": '"'})

# A whole output of one line no longer than this is the answer.
SHORT = 100


class Exact(Grader):
    """The text in the last box, or after the last "the answer is", compared as ``normalized``.

    An output that is nothing but one short line is taken to be the answer.
    """

    def read(self, visible: str, problem: Problem, *, firm: bool = False) -> str | None:
        found = boxed(visible) or after_marker(visible)
        if found is None and not firm:
            found = only_line(visible)
        return plain(found) or None if found else None

    def equal(self, answer: str, problem: Problem) -> bool:
        return normalized(answer) == normalized(problem.reference)


def only_line(text: str) -> str | None:
    """The text, if it is one short line and no more."""
    line = text.strip()
    return clean(line) or None if len(line) <= SHORT and "\n" not in line else None


def plain(text: str) -> str:
    r"""A formula's words without ``\text{}`` and the like around them, and without its spacing."""
    for _ in range(NESTED):
        text = WRAPPED.sub(r"\1", text)
    for name, sign in ANGLES.items():
        text = text.replace(name, sign)
    return clean(SPACE.sub(" ", ESCAPED.sub(r"\1", text)).strip())


def normalized(text: str) -> str:
    """What is compared: no case, quotes, list commas, spaces beside brackets, ``A`` for ``(A)``."""
    text = COMMA.sub(" ", plain(text.translate(QUOTES))).replace('"', "")
    text = AROUND_BRACKETS.sub(r"\1", " ".join(text.split())).casefold()
    return text[1] if len(text) == 3 and text[0] + text[2] == "()" else text
