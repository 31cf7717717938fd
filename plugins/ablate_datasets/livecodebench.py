"""LiveCodeBench: problems of programming contests, by release and by the date of the contest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import ClassVar, Literal

from ablate.errors import RecipeError
from ablate.grading.judged import Judged
from ablate.types import Problem
from ablate_datasets.contest_tests import LIMITS, Packed, stored, told
from ablate_datasets.programs import ProgramDomain, counted, text_in
from ablate_datasets.source import Row, Source

FILES = ("test.jsonl", "test2.jsonl", "test3.jsonl", "test4.jsonl", "test5.jsonl", "test6.jsonl")
HARDNESS = {"easy": 1.0, "medium": 2.0, "hard": 3.0}

ASK = {
    "function": (
        "Complete this program, keeping the names in it. Put the whole of it into one block that "
        "begins with ```python.\n\n```python\n{starter}\n```"
    ),
    "stdin": (
        "Write a Python program that reads from standard input and writes the answer to standard "
        "output. Put the whole of it into one block that begins with ```python."
    ),
}


@dataclass(frozen=True)
class LiveCodeBench(ProgramDomain):
    """Contest problems with public and private tests; difficulty: easy 1, medium 2, hard 3.

    ``release``: all problems up to it. ``since`` and ``until``: only those of contests from that
    day on, and up to that day (``2024-10-31``), so that a model cannot have seen them.
    """

    name: ClassVar[str] = "livecodebench"
    grading_timeout: ClassVar[float] = LIMITS.wall + 30
    source: ClassVar[Source] = Source("livecodebench/code_generation_lite", "test")
    needed: ClassVar[tuple[str, ...]] = (
        "question_id", "question_content", "contest_date", "difficulty", "starter_code",
        "public_test_cases", "private_test_cases", "metadata",
    )  # fmt: skip
    about: ClassVar[str] = "1,055 problems up to release_v6 (arXiv:2403.07974)."

    release: Literal[
        "release_v1", "release_v2", "release_v3", "release_v4", "release_v5", "release_v6"
    ] = "release_v6"
    since: str | None = None
    until: str | None = None

    def __post_init__(self) -> None:
        if self.protocol != "reasoning":
            raise RecipeError(
                ["lm-evaluation-harness has no task livecodebench: use protocol reasoning"]
            )
        for name in ("since", "until"):
            _day(getattr(self, name), name)

    @property
    def judge(self) -> Judged:
        return Judged()

    @property
    def statement(self) -> str:
        days = f", contests from {self.since or 'the first'} to {self.until or 'the last'}"
        return (
            f"{self.origin}, {self.release}{days if self.since or self.until else ''}. Chat, the "
            f"program in a fenced block, run in a sandbox on public and private tests, "
            f"{LIMITS.cpu} s of CPU time each; outputs compared as the benchmark's runner does."
        )

    def place(self, split: str | None = None) -> Source:
        count = int(self.release[-1])
        return replace(super().place(split), files=FILES[:count])

    @property
    def origin(self) -> str:
        return told(self.place())

    def rows(self) -> Sequence[Row]:
        first, last = _day(self.since, "since"), _day(self.until, "until")
        found = [
            row
            for index, row in enumerate(stored(self.place(), self.needed))
            if (day := _contest(row, index)) >= (first or day) and day <= (last or day)
        ]
        if not found:
            raise RecipeError([f"{self.name}: no contest of {self.release} lies within these days"])
        return found

    def problem(self, row: Row, index: int) -> Problem:
        name, words = (
            text_in(row, field, index, self.name) for field in ("question_id", "question_content")
        )
        if row["difficulty"] not in HARDNESS:
            raise RecipeError([f"{self.name}: {name}: difficulty must be easy, medium or hard"])
        starter = str(row["starter_code"] or "").rstrip()
        ask = ASK["function" if starter else "stdin"].replace("{starter}", starter)
        return Problem(
            id=f"{self.name}-{name}",
            domain=self.name,
            prompt=f"{words.strip()}\n\n{ask}",
            reference=counted(row["tests"]),
            difficulty=HARDNESS[row["difficulty"]],
            payload=Packed(row["folder"], row["place"], row["function"]),
        )


def _day(text: str | None, key: str) -> date | None:
    try:
        return None if text is None else date.fromisoformat(text)
    except ValueError:
        raise RecipeError([f"{key} must be a day such as 2024-10-31, not {text!r}"]) from None


def _contest(row: Row, index: int) -> date:
    text = str(row["contest_date"])
    try:
        return date.fromisoformat(text[:10])
    except ValueError:
        problem = f"contest_date must begin with a day such as 2024-10-31, not {text[:40]!r}"
        raise RecipeError([f"livecodebench: row {index + 1}: {problem}"]) from None
