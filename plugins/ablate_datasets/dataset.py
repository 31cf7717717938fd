"""What the domains of this package have in common: rows become problems, outputs are graded."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import chain
from operator import itemgetter
from pathlib import Path
from random import Random
from typing import ClassVar, TypeVar

from ablate.domains.base import Domain
from ablate.errors import RecipeError
from ablate.grading import Grader, grader
from ablate.grading.base import LONGEST
from ablate.types import FinishReason, Grade, Problem, Protocol
from ablate_datasets.source import Row, Source, provenance, rows

T = TypeVar("T")

NOWHERE = Problem(id="", domain="", prompt="", reference="")


@dataclass(frozen=True)
class DatasetDomain(Domain):
    """A data set with a grader.

    ``limit``: how many problems are asked; null: all. ``protocol``: how they are asked and graded.
    ``path``: a local file with the data set's rows (JSON lines, JSON, CSV or Parquet) instead of
    the hub's, or a folder with a file for each split. ``revision``: of the data set on the hub.

    ``lm_eval`` asks the first ``limit`` problems, as the harness does; ``reasoning`` asks those
    that ``seed`` draws.
    """

    source: ClassVar[Source]
    needed: ClassVar[tuple[str, ...]]
    grading: ClassVar[str]
    about: ClassVar[str] = ""
    """What the reference says of it beside the options: size, terms, where it comes from."""

    limit: int | None = None
    protocol: Protocol = "reasoning"
    path: str | None = None
    revision: str | None = None

    @property
    def judge(self) -> Grader:
        """The grader of protocol ``reasoning``."""
        return _grader(self.grading)

    @property
    def origin(self) -> str:
        """The data set, for ``statement``; with revision and digest once it was read."""
        return str(provenance(self.place()))

    def place(self, split: str | None = None) -> Source:
        """Where rows come from: the test split, or another one."""
        source = replace(self.source, path=self.path, revision=self.revision)
        return replace(source, split=split) if split else source

    def problems(self) -> Sequence[Problem]:
        found = self.ordered([self.problem(row, i) for i, row in enumerate(self.rows())])
        refuse_twice(found)
        return found[: self.limit]

    def rows(self) -> Sequence[Row]:
        """The test split."""
        return rows(self.place(), self.needed)

    @abstractmethod
    def problem(self, row: Row, index: int) -> Problem:
        """The problem of a row; ``index`` is its place in the data set, from 0."""

    def shots(self, split: str, needed: Sequence[str]) -> Sequence[Row]:
        """Rows of another split, for few-shot examples."""
        if self.path and Path(self.path).is_file():
            problem = (
                f"protocol lm_eval shows examples from the {split} split: let path name a folder "
                f"with files {self.source.split}.* and {split}.*, not the one file {self.path}"
            )
            raise RecipeError([problem])
        return rows(self.place(split), needed)

    def ordered(self, found: list[Problem]) -> list[Problem]:
        """All problems in the order they are asked in."""
        if self.protocol == "reasoning":
            Random(f"{self.seed}/problems").shuffle(found)
        return found

    def extract(self, visible: str) -> str | None:
        return self.judge.read(visible, NOWHERE)

    def grade(self, problem: Problem, text: str, finish_reason: FinishReason) -> Grade:
        """Judge a whole output under the domain's protocol."""
        if self.protocol == "reasoning":
            return self.judge.grade(problem, text, finish_reason)
        correct, found = self.harness(problem, text)
        parsed = found[:LONGEST] if found else None
        if correct:
            return Grade("correct", parsed)
        if finish_reason == "length":
            return Grade("truncated", parsed)
        return Grade("wrong" if found else "unparsed", parsed)

    def harness(self, problem: Problem, text: str) -> tuple[bool, str | None]:
        """The harness's verdict, and the answer that its filter found; None if it found none."""
        raise NotImplementedError(f"{type(self).__name__} has no protocol lm_eval")


def in_turns(groups: Iterable[Sequence[T]]) -> list[T]:
    """The first of each group, then the second of each ...: a limit takes as much of every one."""
    placed = [[(place, one) for place, one in enumerate(group)] for group in groups]
    return [one for _, one in sorted(chain(*placed), key=itemgetter(0))]


def refuse_twice(found: Sequence[Problem]) -> None:
    """Raise RecipeError if two problems have one id: their records could not be told apart."""
    seen: set[str] = set()
    for problem in found:
        if problem.id in seen:
            raise RecipeError([f"{problem.domain}: two rows have the id {problem.id!r}"])
        seen.add(problem.id)


@lru_cache(maxsize=8)
def _grader(name: str) -> Grader:
    return grader(name)
