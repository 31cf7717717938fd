"""What a reasoning domain is: problems with a difficulty, and a grader."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from ablate.thinking import visible_text
from ablate.types import FinishReason, Grade, Outcome, Problem


@dataclass(frozen=True)
class Domain(ABC):
    """A set of problems and the way their answers are judged; fields are the recipe's options.

    To be written are ``problems`` and ``extract``; mostly also ``training``, and ``is_correct``
    where more than one text is right.

    ``limit``: how many problems are asked (None: all, where the domain is finite). ``seed`` chooses
    which. The same ``seed`` with a larger ``limit`` gives the same first problems.

    ``slow``: grading an answer takes a millisecond or more, or can hang. It is then done in worker
    processes beside the trial, to which the domain and its problems are sent, so both are
    picklable. One that takes longer than ``grading_timeout`` seconds, or raises TimeoutError, is
    tried again when nothing else is to do; if it still does, its outcome is ``timed_out``.
    """

    slow: ClassVar[bool] = False
    grading_timeout: ClassVar[float] = 30.0
    timed_out: ClassVar[Outcome] = "unparsed"

    limit: int | None = 64
    seed: int = 0

    @property
    def statement(self) -> str:
        """How it asks and grades, for the report, in a sentence or two; empty: as its page says."""
        return ""

    @abstractmethod
    def problems(self) -> Sequence[Problem]:
        """The test problems, at most ``limit`` of them, ids unique."""

    @abstractmethod
    def extract(self, visible: str) -> str | None:
        """The answer stated in the visible text, normalized; None if there is none.

        ``visible``: what the user sees, the output without its reasoning (``<think>`` to
        ``</think>``). It can be anything, and long: what a model wrote is never evaluated or run
        here.
        """

    def training(self, n: int, seed: int) -> Sequence[Problem]:
        """``n`` worked problems that are never test problems; empty if the domain has none."""
        return ()

    def is_correct(self, answer: str, problem: Problem) -> bool:
        """Whether an extracted answer is right: here, whether it is the reference.

        Where many answers are right, override this. What it needs to know of the problem can be
        read from ``reference`` (one of the right answers) or put into ``payload``.
        """
        return answer == problem.reference

    def grade(self, problem: Problem, text: str, finish_reason: FinishReason) -> Grade:
        """Judge a whole output. Text cut off before an answer is ``truncated``, not wrong."""
        answer = self.extract(visible_text(text))
        if answer is None:
            return Grade("truncated" if finish_reason == "length" else "unparsed")
        return Grade("correct" if self.is_correct(answer, problem) else "wrong", answer)
