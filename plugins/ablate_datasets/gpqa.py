"""GPQA: questions that experts of other fields cannot answer, even with a search engine."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import ClassVar, Literal

from ablate.types import Problem
from ablate_datasets.choices import REASONING, asked, listed
from ablate_datasets.dataset import DatasetDomain
from ablate_datasets.filters import check_filter, exactly, first, multi_choice
from ablate_datasets.source import Row, Source

CORRECT = "Correct Answer"
INCORRECT = tuple(f"Incorrect Answer {n}" for n in (1, 2, 3))
ESTIMATE = "Writer's Difficulty Estimate"

# How the set's writers' estimates begin, from easy to hard.
ESTIMATES = ("Easy undergraduate", "Hard undergraduate", "Hard graduate", "Post-graduate")

# Of the harness's tasks gpqa_*_cot_zeroshot, version 2.2.
STRICT = re.compile(r"(?<=The answer is )(.*)(?=.)")
FLEXIBLE = re.compile(r"(\([A-Z]\))")
STOPS, MAX_GEN_TOKS = ("</s>",), 256
HARNESS_SEED = 0


@dataclass(frozen=True)
class Gpqa(DatasetDomain):
    """Graduate questions of biology, physics and chemistry; difficulty is the writer's estimate.

    ``subset``: ``diamond`` (198 questions), ``main`` (448) or ``extended`` (546). ``filter``: how
    ``lm_eval`` finds the answer; ``flexible`` (the default) or ``strict`` ("The answer is").
    """

    name: ClassVar[str] = "gpqa"
    grading: ClassVar[str] = "choice"
    source: ClassVar[Source] = Source("Idavidrein/gpqa", "train")
    needed: ClassVar[tuple[str, ...]] = ("Question", CORRECT, *INCORRECT)
    about: ClassVar[str] = (
        "The hub gives it to those who accept its terms. Its authors ask that its questions appear "
        "nowhere in plain text, so it is kept compressed, and reports hold letters only."
    )

    subset: Literal["diamond", "main", "extended"] = "diamond"
    filter: Literal["flexible", "strict"] | None = None

    def __post_init__(self) -> None:
        check_filter(self.filter, self.protocol)

    @property
    def statement(self) -> str:
        if self.protocol == "reasoning":
            order = f"Choices in an order drawn for each question from seed {self.seed}."
            return f"{self.origin}. {REASONING}. {order}"
        return (
            f"{self.origin}. As lm-evaluation-harness's gpqa_{self.subset}_cot_zeroshot: no "
            f"examples, ends at </s> or {MAX_GEN_TOKS} tokens, filter {self.filter or 'flexible'}, "
            "choices in the order that a fresh harness draws."
        )

    def place(self, split: str | None = None) -> Source:
        return replace(super().place(split), config=f"gpqa_{self.subset}")

    def problems(self) -> Sequence[Problem]:
        if self.protocol == "reasoning":
            return super().problems()
        # The harness shuffles the choices of one row after the other with one generator.
        rng = Random(HARNESS_SEED)
        return [self._harness_problem(row, i, rng) for i, row in enumerate(self.rows())][
            : self.limit
        ]

    def problem(self, row: Row, index: int) -> Problem:
        choices = [str(row[field]).strip() for field in (CORRECT, *INCORRECT)]
        order = list(range(len(choices)))
        own = row.get("Record ID") or row["Question"]
        Random(f"{self.seed}/choices/{own}").shuffle(order)
        return Problem(
            id=f"{self.name}-{self.subset}-{index}",
            domain=self.name,
            prompt=asked(str(row["Question"]).strip(), [choices[place] for place in order]),
            reference="ABCD"[order.index(0)],
            difficulty=_difficulty(row),
            payload=tuple(choices[place] for place in order),
        )

    def harness(self, problem: Problem, text: str) -> tuple[bool, str | None]:
        if self.filter == "strict":
            found = first(STRICT, text)
        else:
            found = multi_choice(FLEXIBLE, text, problem.payload)
        return exactly(found, f"({problem.reference})", letters_only=True), found

    def _harness_problem(self, row: Row, index: int, rng: Random) -> Problem:
        choices = [_cleaned(row[field]) for field in (*INCORRECT, CORRECT)]
        rng.shuffle(choices)
        return Problem(
            id=f"{self.name}-{self.subset}-{index}",
            domain=self.name,
            prompt=(
                f"What is the correct answer to this question:{row['Question']}\n"
                f"Choices:\n{listed(choices)}\nLet's think step by step: "
            ),
            reference="ABCD"[choices.index(_cleaned(row[CORRECT]))],
            difficulty=_difficulty(row),
            chat=False,
            stop=STOPS,
            max_tokens=MAX_GEN_TOKS,
            payload=tuple(choices),
        )


def _cleaned(choice: str) -> str:
    """A choice's text as the harness writes it."""
    return choice.strip().replace(" [title]", ". ").replace("  ", " ")


def _difficulty(row: Row) -> float | None:
    estimate = str(row.get(ESTIMATE) or "")
    places = [n for n, words in enumerate(ESTIMATES, 1) if estimate.startswith(words)]
    return float(places[0]) if places else None
