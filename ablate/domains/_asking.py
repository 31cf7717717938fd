"""How a puzzle of logic ends: three of its names are asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random

ASKED = 3  # values an answer consists of, so that guessing gets one in eight


@dataclass(frozen=True)
class Asked:
    """The question, the last line of the work, and the answer."""

    question: str
    line: str
    answer: str


def ask(rng: Random, names: Sequence[str], words: Mapping[str, str]) -> Asked:
    """Three of ``names``, drawn at random; ``words`` has the right one for each."""
    asked = rng.sample(names, ASKED)
    return Asked(
        question=f"What are {asked[0]}, {asked[1]} and {asked[2]}?",
        line="so " + ", ".join(f"{name} {words[name]}" for name in asked),
        answer=" ".join(words[name] for name in asked),
    )
