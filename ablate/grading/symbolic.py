r"""Answers that are formulas, compared by math-verify (pip install math-verify).

Slow (milliseconds, at times seconds), and it can hang on what a model wrote, so it belongs into a
process that can be ended. math-verify stops itself by SIGALRM after five seconds, which works in a
main thread alone; elsewhere it is not stopped.
"""

from __future__ import annotations

import logging
import re
import threading
from collections import deque
from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from importlib.util import find_spec
from itertools import product
from typing import Any

from ablate.errors import RecipeError
from ablate.grading.base import Grader
from ablate.grading.numbers import last_number
from ablate.grading.stated import after_marker, boxed
from ablate.types import Problem

LONGEST_ANSWER = 2_000
"""Characters of a formula; MATH's longest answer has some 160, and parsing is not linear."""

LONGEST_TEXT = 100_000
"""Characters of an output in which math-verify is asked to find the answer by itself."""

SECONDS = 5
"""For one call of math-verify, its own default."""

# no possessive groups: up to Python 3.11.4 they may not match at all (CPython 106052)
FORMULA = re.compile(
    r"(?<!\\)\$\$((?:\\.|[^$\\])+)\$\$|(?<!\\)\$((?:\\.|[^$\\\n])+)\$"
    r"|\\\(((?:(?!\\[()]).)+)\\\)|\\\[((?:(?!\\[\[\]]).)+)\\\]",
    re.DOTALL,
)

INSTALL = 'math-verify is not installed: pip install "ablate-inference[domains]"'


class Symbolic(Grader):
    """The last box, what follows "the answer is", or the last formula, as math-verify compares it.

    ``equal`` raises TimeoutError if math-verify gave up: its time-out says nothing of the answer.
    """

    def read(self, visible: str, problem: Problem, *, firm: bool = False) -> str | None:
        return read_formula(visible, firm=firm)

    def equal(self, answer: str, problem: Problem) -> bool:
        return same(problem.reference, answer)

    def problem_with(self, reference: str) -> str | None:
        if len(reference) > LONGEST_ANSWER:
            return f"it has {len(reference)} characters, more than {LONGEST_ANSWER}"
        return super().problem_with(reference)


def read_formula(visible: str, *, firm: bool = False) -> str | None:
    """The formula that a visible text gives as its answer; None if it has none or a huge one."""
    answer = boxed(visible) or after_marker(visible)
    if answer is None and not firm:
        answer = _last_formula(visible) or last_number(visible)
    return answer if answer and len(answer) <= LONGEST_ANSWER else None


def _last_formula(visible: str) -> str | None:
    last = deque(FORMULA.finditer(visible), maxlen=1)
    return last[0][last[0].lastindex or 0].strip() or None if last else None


@lru_cache(maxsize=4096)
def same(reference: str, answer: str) -> bool:
    """Whether an answer equals the reference. Raises TimeoutError if that took too long to say."""
    return verified(_gold(reference), parsed(_shown(answer, "\\boxed{%s}")))


@lru_cache(maxsize=4096)
def _gold(reference: str) -> Sequence[Any]:
    return parsed(_shown(reference, "$%s$"))


def _shown(formula: str, how: str) -> str:
    """A bare formula marked as one; what has dollars or a box of its own is text around one."""
    if "\\boxed" in formula:
        return formula
    return f"${formula}$" if "$" in formula else how.replace("%s", formula)


def parsed(text: str) -> Sequence[Any]:
    """What math-verify finds in a text: formulas and the text they were read from; maybe nothing.

    Raises TimeoutError where math-verify would return nothing for want of time.
    """
    return _in_time(_library().parse, text, parsing_timeout=_seconds()) or []


def verified(gold: Sequence[Any], target: Sequence[Any]) -> bool:
    """``math_verify.verify``, except that a comparison that timed out is an error unless another
    one succeeded.
    """
    verify = _library().verify
    late: TimeoutError | None = None
    for one, other in product(gold, target):
        try:
            if _in_time(verify, one, other, timeout_seconds=_seconds()):
                return True
        except TimeoutError as error:
            late = error
    if late:
        raise late
    return False


def _in_time(call: Callable[..., Any], *values: Any, **options: Any) -> Any:
    """A call of math-verify's; None for the errors that it would have kept to itself."""
    from math_verify.errors import TimeoutException

    try:
        return call(*values, **options, raise_on_error=True)
    except TimeoutException:
        raise TimeoutError(f"math-verify needs more than {SECONDS} s") from None
    except MemoryError:  # this process is not to be trusted any more
        raise
    except Exception:  # sympy's parsers and solvers fail in any way
        return None


def _seconds() -> int | None:
    return SECONDS if threading.current_thread() is threading.main_thread() else None


@cache
def _library() -> Any:
    import math_verify

    logging.getLogger("math_verify").setLevel(logging.ERROR)  # its time-outs are raised here
    return math_verify


def require() -> None:
    """Raise RecipeError unless math-verify is installed."""
    if find_spec("math_verify") is None:
        raise RecipeError([INSTALL])
