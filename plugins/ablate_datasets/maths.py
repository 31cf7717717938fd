"""What the data sets of mathematics have in common: two protocols, each with its grader."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

from ablate.grading import Grader, grader
from ablate.grading.base import LONGEST
from ablate.types import FinishReason, Grade, Problem
from ablate_datasets.dataset import DatasetDomain
from ablate_datasets.source import Row, Source, rows

ASK = "Please reason step by step, and put your final answer within \\boxed{}."

# What the harness lets a model write where a task does not say.
MAX_GEN_TOKS = 256

NOWHERE = Problem(id="", domain="", prompt="", reference="")


@dataclass(frozen=True)
class Maths(DatasetDomain):
    """Problems whose answer is a number or a formula.

    Under ``reasoning`` the answer is that of the last box, or stated as the final one, or the last
    one in the text; ``lm_eval`` judges as lm-evaluation-harness does.
    """

    grading: ClassVar[str]

    def extract(self, visible: str) -> str | None:
        return self.grader.read(visible, NOWHERE)

    def grade(self, problem: Problem, text: str, finish_reason: FinishReason) -> Grade:
        """Judge a whole output; may raise TimeoutError, after which it is worth another try."""
        if self.protocol == "reasoning":
            return self.grader.grade(problem, text, finish_reason)
        correct, found = self.harness(problem, text)
        parsed = None if found is None else found[:LONGEST]
        if correct:
            return Grade("correct", parsed)
        if finish_reason == "length":
            return Grade("truncated", parsed)
        return Grade("unparsed" if found is None else "wrong", parsed)

    @abstractmethod
    def harness(self, problem: Problem, text: str) -> tuple[bool, str | None]:
        """The harness's verdict, and the answer that its filter found; None if it found none."""

    @property
    def grader(self) -> Grader:
        return _grader(self.grading)

    @property
    def origin(self) -> str:
        """The data set, for ``statement``."""
        if self.path:
            return f"rows of {self.path}"
        return f"{self.source.id} ({self.revision or 'newest revision when fetched'})"


@lru_cache(maxsize=8)
def _grader(name: str) -> Grader:
    return grader(name)


@lru_cache(maxsize=8)
def kept_rows(source: Source, needed: tuple[str, ...]) -> Sequence[Row]:
    """Rows, read once in a process."""
    return rows(source, needed)
