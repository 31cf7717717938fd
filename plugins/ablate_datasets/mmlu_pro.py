"""MMLU-Pro: questions of fourteen subjects with up to ten choices."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from string import ascii_uppercase
from typing import ClassVar

from ablate.errors import RecipeError, did_you_mean
from ablate.types import Problem
from ablate_datasets.choices import REASONING, asked, wrong_choices
from ablate_datasets.dataset import DatasetDomain, in_turns
from ablate_datasets.filters import exactly, first
from ablate_datasets.source import Row, Source, refuse

SUBJECTS = (
    "biology",
    "business",
    "chemistry",
    "computer science",
    "economics",
    "engineering",
    "health",
    "history",
    "law",
    "math",
    "other",
    "philosophy",
    "physics",
    "psychology",
)

# Of the harness's tasks mmlu_pro_*, version 3.1.
SHOTS = 5
STOPS, MAX_GEN_TOKS = ("Question:",), 2048
FOUND = re.compile(r"answer is \(?([ABCDEFGHIJ])\)?")
MOST = 10
COT = "A: Let's think step by step. "


@dataclass(frozen=True)
class MmluPro(DatasetDomain):
    """Questions of fourteen subjects, mostly with ten choices.

    ``subjects``: which of the fourteen (``math``, ``law``, ``computer science`` ...); null: all.
    Under ``lm_eval`` they take turns, so a limit asks as many of each.
    """

    name: ClassVar[str] = "mmlu_pro"
    grading: ClassVar[str] = "choice"
    source: ClassVar[Source] = Source("TIGER-Lab/MMLU-Pro", "test")
    needed: ClassVar[tuple[str, ...]] = ("question", "options", "answer", "category")
    about: ClassVar[str] = "12,032 questions (arXiv:2406.01574)."

    subjects: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        wanted = SUBJECTS if self.subjects is None else tuple(self.subjects)
        problems = [
            f"subjects: there is no subject {subject!r}.{did_you_mean(subject, SUBJECTS)}"
            for subject in wanted
            if subject not in SUBJECTS
        ]
        if len(set(wanted)) < len(wanted) or not wanted:
            problems.append("subjects: name at least one, and none twice")
        if problems:
            raise RecipeError(problems)
        object.__setattr__(self, "subjects", self.subjects and wanted)  # a tuple can be hashed

    @property
    def statement(self) -> str:
        subjects = ", ".join(self.subjects or ("all subjects",))
        if self.protocol == "reasoning":
            return f"{self.origin}, {subjects}. {REASONING}."
        return (
            f"{self.origin}, {subjects}. As lm-evaluation-harness's mmlu_pro: the subject's first "
            f"{SHOTS} rows of the validation split as worked examples, ends at {STOPS[0]} or "
            f"{MAX_GEN_TOKS} tokens, the letter after 'answer is'."
        )

    def rows(self) -> Sequence[Row]:
        """Those of the subjects, each with its number in the data set."""
        found = [{"question_id": n, **row} for n, row in enumerate(super().rows())]
        name = str(self.path or self.source.id)
        refuse(name, [said for n, row in enumerate(found, 1) if (said := _wrong(row, n))])
        groups = [[r for r in found if r["category"] == s] for s in self.subjects or SUBJECTS]
        if self.protocol == "lm_eval":
            return in_turns(groups)
        return [row for row in found if row["category"] in (self.subjects or SUBJECTS)]

    def problem(self, row: Row, index: int) -> Problem:
        options = [option.strip() for option in row["options"][:MOST]]
        made = Problem(
            id=f"{self.name}-{row['question_id']}",
            domain=self.name,
            prompt=asked(row["question"].strip(), options),
            reference=row["answer"],
            payload=tuple(options),
        )
        if self.protocol == "reasoning":
            return made
        prompt = _examples(self, row["category"]) + _question(row)
        return replace(made, prompt=prompt, chat=False, stop=STOPS, max_tokens=MAX_GEN_TOKS)

    def harness(self, problem: Problem, text: str) -> tuple[bool, str | None]:
        found = first(FOUND, text)
        return exactly(found, problem.reference, letters_only=True), found


def _wrong(row: Row, number: int) -> str | None:
    said = wrong_choices(row["options"], row["answer"])
    if row["category"] not in SUBJECTS:
        said = f"there is no category {row['category']!r}.{did_you_mean(row['category'], SUBJECTS)}"
    return f"row {number}: {said}" if said else None


@lru_cache(maxsize=64)
def _examples(domain: MmluPro, subject: str) -> str:
    """What the harness writes before a subject's questions."""
    needed = (*domain.needed, "cot_content")
    shots = [r for r in domain.shots("validation", needed) if r["category"] == subject][:SHOTS]
    if len(shots) < SHOTS:
        raise RecipeError(
            [f"protocol lm_eval needs {SHOTS} examples of {subject}; there are {len(shots)}"]
        )
    said = (
        f"The following are multiple choice questions (with answers) about {subject}. Think step "
        'by step and then finish your answer with "the answer is (X)" where X is the correct '
        "letter choice.\n"
    )
    return said + "".join(f"{_question(r)} {r['cot_content'].replace(COT, '')}\n\n" for r in shots)


def _question(row: Row) -> str:
    options = zip(ascii_uppercase[:MOST], row["options"], strict=False)
    listed = "".join(f"{letter}. {option.strip()}\n" for letter, option in options)
    return f"Question:\n{row['question']}\nOptions:\n{listed}Answer: Let's think step by step."
