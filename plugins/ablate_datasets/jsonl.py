"""Problems of one's own, from any local file."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from random import Random
from string import ascii_uppercase
from typing import Any, ClassVar, Literal

from ablate.domains.base import Domain
from ablate.errors import RecipeError, did_you_mean
from ablate.grading import Grader, grader
from ablate.types import FinishReason, Grade, Problem, Protocol
from ablate_datasets import choices as multiple
from ablate_datasets.dataset import NOWHERE, refuse_twice
from ablate_datasets.source import Row, Source, provenance, refuse, rows

ASK = "Please reason step by step, and put your final answer within \\boxed{}."
TEMPLATES = {
    "choice": f"{{problem}}\n\n{multiple.ASK}",
    "code": "{problem}\n\nPut the whole program into one block that begins with ```python.",
    "exact": f"{{problem}}\n\n{ASK}",
    "numeric": f"{{problem}}\n\n{ASK}",
    "symbolic": f"{{problem}}\n\n{ASK}",
}

# A field's name in braces; what a command of LaTeX holds is none.
PLACE = re.compile(r"(\\[A-Za-z]+\s?)?\{(\w+)\}")


@dataclass(frozen=True, kw_only=True)
class Jsonl(Domain):
    """Problems of a local file: JSON lines, JSON, CSV or Parquet, also compressed with gzip.

    ``problem``, ``answer``, ``difficulty``, ``id`` and ``choices`` name the fields that hold them;
    null: there is no such field. ``grader``: how answers are compared; ``code``: the answer is a
    test program. ``template``: the message that is sent, with names of fields in braces; null: the
    problem, and the form in which the grader needs the answer. Where ``choices`` holds a list of
    texts, they are listed after the problem; the answer is a letter, or a place from 0.
    """

    slow: ClassVar[bool] = True
    name: ClassVar[str] = "jsonl"

    path: str
    problem: str = "problem"
    answer: str = "answer"
    difficulty: str | None = None
    id: str | None = None
    choices: str | None = None
    grader: Literal["choice", "code", "exact", "numeric", "symbolic"] = "exact"
    template: str | None = None
    limit: int | None = None
    protocol: Protocol = "reasoning"

    def __post_init__(self) -> None:
        if self.protocol != "reasoning":
            raise RecipeError(
                ["lm-evaluation-harness has no task for a file of your own: use protocol reasoning"]
            )
        if self.choices and self.grader != "choice":
            raise RecipeError(["choices are for grader choice"])

    @property
    def statement(self) -> str:
        asked = self.template or TEMPLATES[self.grader]
        return f"{provenance(self._source())}. Asked as {asked!r}; grader {self.grader}."

    def problems(self) -> Sequence[Problem]:
        optional = (self.difficulty, self.id, self.choices)
        found = rows(self._source(), [self.problem, self.answer, *filter(None, optional)])
        made = [self._made(row, index) for index, row in enumerate(found)]
        refuse(self.path, [said for said in made if isinstance(said, str)])
        problems = [problem for problem in made if isinstance(problem, Problem)]
        refuse_twice(problems)
        Random(f"{self.seed}/problems").shuffle(problems)
        return problems[: self.limit]

    def extract(self, visible: str) -> str | None:
        return _grader(self.grader).read(visible, NOWHERE)

    def grade(self, problem: Problem, text: str, finish_reason: FinishReason) -> Grade:
        return _grader(self.grader).grade(problem, text, finish_reason)

    def _source(self) -> Source:
        return Source(id=self.name, split="test", path=self.path)

    def _made(self, row: Row, index: int) -> Problem | str:
        """The problem of a row, or what is wrong with it."""
        try:
            reference = self._reference(row)
            return Problem(
                id=f"{self.name}-{row[self.id] if self.id else index}",
                domain=self.name,
                prompt=self._prompt(row),
                reference=reference,
                difficulty=_number(row[self.difficulty]) if self.difficulty else None,
                payload=tuple(row[self.choices]) if self.choices else None,
            )
        except ValueError as error:
            return f"{self.path}: row {index + 1}: {error}"

    def _reference(self, row: Row) -> str:
        answer = row[self.answer]
        if self.choices:
            answer = _lettered(answer)
            said = multiple.wrong_choices(row[self.choices], answer)
        elif isinstance(answer, (str, int, float)):
            said = _grader(self.grader).problem_with(str(answer))
        else:
            said = f"must be text or a number, not {str(answer)[:40]}"
        if said:
            raise ValueError(f"field {self.answer!r}: {said}")
        return str(answer)

    def _prompt(self, row: Row) -> str:
        if not str(row[self.problem]).strip():
            raise ValueError(f"field {self.problem!r} is empty")
        fields = {**row, "problem": str(row[self.problem]).strip()}
        if self.choices:
            fields["problem"] += f"\n\n{multiple.listed(row[self.choices])}"

        def filled(place: re.Match[str]) -> str:
            if place[1]:
                return place[0]
            if place[2] not in fields:
                hint = did_you_mean(place[2], fields)
                raise ValueError(f"there is no field {place[2]!r} as the template has it.{hint}")
            return str(fields[place[2]])

        return PLACE.sub(filled, self.template or TEMPLATES[self.grader])


@lru_cache(maxsize=8)
def _grader(name: str) -> Grader:
    return grader(name)


def _lettered(answer: Any) -> str | None:
    """The letter of a choice, given as one or as a place from 0."""
    if isinstance(answer, int) and not isinstance(answer, bool):
        return ascii_uppercase[answer] if 0 <= answer < len(ascii_uppercase) else None
    text = str(answer).strip().strip("()").upper()
    return text if len(text) == 1 else None


def _number(value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"the difficulty must be a number, not {str(value)[:40]!r}")
    return number
