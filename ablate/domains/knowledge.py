"""Facts that are known or not: the chemical elements, their symbols and atomic numbers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from random import Random
from typing import ClassVar

from ablate.domains._elements import ELEMENTS
from ablate.domains._split import split_of, think
from ablate.domains.base import Domain
from ablate.types import Problem

PER_LEVEL = 12  # elements of one difficulty
LONGEST_SYMBOL = 2

OPENINGS = ("", "Chemistry: ", "Please answer: ", "Quick question: ", "From the periodic table: ")
QUESTIONS = {
    "number": (
        "What is the atomic number of {name}?",
        "Which atomic number does {name} have?",
        "Give the atomic number of {name}.",
        "How many protons does {name} have?",
    ),
    "symbol": (
        "What is the chemical symbol of {name}?",
        "Which symbol does {name} have?",
        "Give the symbol of the element {name}.",
        "How is {name} abbreviated?",
    ),
    "name by number": (
        "Which element has atomic number {number}?",
        "Name the element with atomic number {number}.",
        "What is element {number} called?",
        "Which element has {number} protons?",
    ),
    "name by symbol": (
        "Which element has the symbol {symbol}?",
        "Name the element with the symbol {symbol}.",
        "What is the element {symbol} called?",
        "Which element is abbreviated {symbol}?",
    ),
}

CLOSING = " Answer in one word."

WORD = re.compile(r"[A-Za-z]+|\d+")
OTHER_SPELLINGS = {"aluminum": "aluminium", "cesium": "caesium", "sulphur": "sulfur"}


@dataclass(frozen=True)
class Knowledge(Domain):
    """Questions about the 118 elements, each asked in many wordings.

    Difficulty is 1 for the twelve lightest elements, 2 for the next twelve and so on to 10; the
    heavy ones are mostly the less known. A wording that is held out for the test is never learned;
    the fact itself is, in other wordings.
    """

    name: ClassVar[str] = "knowledge"

    def problems(self) -> Sequence[Problem]:
        asked = [problem for problem in _all_problems() if split_of(problem.prompt) == "test"]
        Random(f"{self.name}/test/{self.seed}").shuffle(asked)
        return asked[: self.limit]

    def training(self, n: int, seed: int) -> Sequence[Problem]:
        known = [problem for problem in _all_problems() if split_of(problem.prompt) == "train"]
        return Random(f"{self.name}/train/{seed}").choices(known, k=n)

    def extract(self, visible: str) -> str | None:
        """The last word or number."""
        words = WORD.findall(visible)
        return words[-1] if words else None

    def is_correct(self, answer: str, problem: Problem) -> bool:
        """Names in any case and common spelling; symbols letter by letter."""
        if len(problem.reference) <= LONGEST_SYMBOL or problem.reference.isdigit():
            return answer == problem.reference
        return OTHER_SPELLINGS.get(answer.lower(), answer.lower()) == problem.reference.lower()


@cache
def _all_problems() -> tuple[Problem, ...]:
    """Every question in every wording."""
    return tuple(
        _problem(number, kind, wording, opening)
        for number in range(1, len(ELEMENTS) + 1)
        for kind, wordings in QUESTIONS.items()
        for wording in range(len(wordings))
        for opening in range(len(OPENINGS))
    )


def _problem(number: int, kind: str, wording: int, opening: int) -> Problem:
    symbol, name = ELEMENTS[number - 1]
    question = QUESTIONS[kind][wording].format(name=name, symbol=symbol, number=number)
    answer = {"number": str(number), "symbol": symbol}.get(kind, name)
    return Problem(
        id=f"knowledge-{symbol}-{kind.replace(' ', '-')}-{wording}-{opening}",
        domain=Knowledge.name,
        prompt=f"{OPENINGS[opening]}{question}{CLOSING}",
        reference=answer,
        difficulty=float((number - 1) // PER_LEVEL + 1),
        solution=think([f"{name} {symbol} {number}"], answer),
    )
