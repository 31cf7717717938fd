"""Countdown: reach a target from given numbers with + - * and /."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from ablate.domains.base import Domain
from ablate.plugins import Registry, hookimpl
from ablate.types import Problem

from .expression import NoExpression, evaluate, found
from .puzzles import Puzzle, puzzle

hookspec_version = 1

ALL = 1024  # what "all problems" means where there is no end to them


@dataclass(frozen=True)
class Countdown(Domain):
    """Reach a target from given numbers with + - * and /; difficulty is how many numbers.

    The answer is an expression that uses each given number at most once; any that is worth the
    target is right. ``min_numbers`` and ``max_numbers``: how many numbers are given.

    Source: Gandhi et al. 2024, Stream of Search (2404.03683)
    """

    min_numbers: int = 3
    max_numbers: int = 6

    def __post_init__(self) -> None:
        if not 3 <= self.min_numbers <= self.max_numbers <= 6:
            raise ValueError(
                "min_numbers and max_numbers must be from 3 to 6 and in this order, "
                f"not {self.min_numbers} and {self.max_numbers}"
            )

    def problems(self) -> Sequence[Problem]:
        n = ALL if self.limit is None else self.limit
        return [self._problem(index, self.seed, "test") for index in range(n)]

    def training(self, n: int, seed: int) -> Sequence[Problem]:
        return [self._problem(index, seed, "train") for index in range(n)]

    def extract(self, visible: str) -> str | None:
        return next(found(visible), None)

    def is_correct(self, answer: str, problem: Problem) -> bool:
        # the reference is one of the right expressions: it tells the numbers and the target
        wanted = evaluate(problem.reference)
        try:
            given = evaluate(answer)
        except NoExpression:
            return False
        return given.value == wanted.value and Counter(given.numbers) <= Counter(wanted.numbers)

    def _problem(self, index: int, seed: int, split: str) -> Problem:
        # from (seed, index) alone: a larger limit only adds problems
        size = self.min_numbers + index % (self.max_numbers - self.min_numbers + 1)
        made = puzzle(size, split, f"{seed}/{index}")
        return Problem(
            id=f"countdown-{split}-{seed}-{index}",
            domain="countdown",
            prompt=prompt(made),
            reference=made.expression,
            difficulty=float(size),
            solution="<think>\n" + "\n".join(made.steps) + f"\n</think>\n{made.expression}",
        )


def prompt(made: Puzzle) -> str:
    """What the model is asked."""
    numbers = ", ".join(map(str, made.numbers))
    return (
        f"Make {made.target} from the numbers {numbers} with + - * / and brackets, each number at "
        "most once. Answer with the expression alone."
    )


@hookimpl
def ablate_register(registry: Registry) -> None:
    registry.add("domain", "countdown", Countdown)
