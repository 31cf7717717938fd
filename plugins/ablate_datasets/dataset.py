"""What the domains of this package have in common: rows become problems."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import ClassVar

from ablate.domains.base import Domain
from ablate.types import Problem, Protocol
from ablate_datasets.source import Row, Source, rows


@dataclass(frozen=True)
class DatasetDomain(Domain):
    """A data set with a grader.

    ``limit``: how many problems are asked; null: all. ``protocol``: how they are asked and graded.
    ``path``: a local file with the data set's rows (JSON lines, JSON, CSV or Parquet) instead of
    the hub's. ``revision``: of the data set on the hub.

    ``lm_eval`` asks the first ``limit`` problems, as the harness does; ``reasoning`` asks those
    that ``seed`` draws.
    """

    source: ClassVar[Source]
    needed: ClassVar[tuple[str, ...]]

    limit: int | None = None
    protocol: Protocol = "reasoning"
    path: str | None = None
    revision: str | None = None

    def problems(self) -> Sequence[Problem]:
        found = [self.problem(row, index) for index, row in enumerate(self.rows())]
        if self.protocol == "reasoning":
            Random(f"{self.seed}/problems").shuffle(found)
        return found[: self.limit]

    def rows(self) -> Sequence[Row]:
        """The test split."""
        return rows(replace(self.source, path=self.path, revision=self.revision), self.needed)

    @abstractmethod
    def problem(self, row: Row, index: int) -> Problem:
        """The problem of a row; ``index`` is its place in the data set, from 0."""
