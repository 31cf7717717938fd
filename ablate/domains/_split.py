"""Generated domains: problems made from (seed, index), with a test split no training reaches."""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import ClassVar, Literal

from ablate.domains.base import Domain
from ablate.errors import RecipeError
from ablate.types import Problem

Split = Literal["test", "train"]

# What "all problems" means for a domain without end.
WHOLE_SET = 1024

# One prompt in eight is a test prompt, whatever seed or index it was made from.
TEST_SHARE = 8


def split_of(prompt: str) -> Split:
    """The split a prompt belongs to: a stable hash decides, so the splits cannot overlap."""
    digest = hashlib.sha256(prompt.encode()).digest()
    return "test" if digest[0] % TEST_SHARE == 0 else "train"


@dataclass(frozen=True)
class Worked:
    """A generated question with its worked solution and answer."""

    prompt: str
    solution: str
    answer: str


@dataclass(frozen=True)
class Generated(Domain):
    """A domain whose problems are generated; difficulties are spread evenly over the problems.

    Difficulty is a whole number from ``min_difficulty`` to ``max_difficulty``. Every run of
    ``max_difficulty - min_difficulty + 1`` problems has each difficulty once, in random order.
    """

    min_difficulty: int = 1
    max_difficulty: int = 10

    name: ClassVar[str]
    hardest: ClassVar[int] = 1000

    def __post_init__(self) -> None:
        if not 1 <= self.min_difficulty <= self.max_difficulty <= self.hardest:
            raise RecipeError(
                [
                    f"{self.name}: 1 <= min_difficulty <= max_difficulty <= {self.hardest} is "
                    f"needed, got {self.min_difficulty} and {self.max_difficulty}"
                ]
            )

    def check_share(self, option: str, share: float) -> None:
        """Raise RecipeError unless the option is a share."""
        if not 0 <= share <= 1:
            raise RecipeError([f"{self.name}: {option} must be from 0 to 1, not {share}"])

    @abstractmethod
    def make(self, rng: Random, difficulty: int) -> Worked:
        """Draw one problem of the given difficulty."""

    def problems(self) -> Sequence[Problem]:
        return self._generate(WHOLE_SET if self.limit is None else self.limit, self.seed, "test")

    def training(self, n: int, seed: int) -> Sequence[Problem]:
        return self._generate(n, seed, "train")

    def _generate(self, n: int, seed: int, split: Split) -> tuple[Problem, ...]:
        return tuple(self._problem(index, seed, split) for index in range(n))

    def _problem(self, index: int, seed: int, split: Split) -> Problem:
        difficulty = self._difficulty(index, seed, split)
        worked = self._draw(Random(f"{self.name}/{split}/{seed}/{index}"), difficulty, split)
        return Problem(
            id=f"{self.name}-{split}-{seed}-{index}",
            domain=self.name,
            prompt=worked.prompt,
            reference=worked.answer,
            difficulty=float(difficulty),
            solution=worked.solution,
        )

    def _difficulty(self, index: int, seed: int, split: Split) -> int:
        levels = list(range(self.min_difficulty, self.max_difficulty + 1))
        block, place = divmod(index, len(levels))
        Random(f"{self.name}/{split}/{seed}/levels/{block}").shuffle(levels)
        return levels[place]

    def _draw(self, rng: Random, difficulty: int, split: Split) -> Worked:
        """Draw until the prompt's hash puts it into the wanted split."""
        while True:
            worked = self.make(rng, difficulty)
            if split_of(worked.prompt) == split:
                return worked


def think(lines: Sequence[str], answer: str) -> str:
    """The form in which the shipped reasoning model writes a solution."""
    return "\n".join(["<think>", *lines, "</think>", answer])
