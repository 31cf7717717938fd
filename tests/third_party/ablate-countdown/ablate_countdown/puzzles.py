"""Puzzles: numbers, a target, and one way from these to that."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from itertools import count
from random import Random

LARGEST = 25  # of the given numbers
TARGETS = range(10, 1000)
TESTS = 8  # one puzzle in so many is for the test


@dataclass(frozen=True)
class Puzzle:
    """``expression`` uses all ``numbers`` and is worth ``target``; ``steps`` are how it goes."""

    numbers: tuple[int, ...]
    target: int
    expression: str
    steps: tuple[str, ...]

    @property
    def split(self) -> str:
        """``test`` or ``train``: from the numbers, in whatever order, and the target alone."""
        digest = sha256(f"{sorted(self.numbers)} {self.target}".encode()).digest()
        return "test" if digest[0] % TESTS == 0 else "train"


def puzzle(size: int, split: str, name: str) -> Puzzle:
    """A puzzle of ``size`` numbers that belongs to ``split``, the same one for the same name."""
    for attempt in count():
        made = _drawn(Random(f"countdown/{split}/{name}/{size}/{attempt}"), size)
        if made.target in TARGETS and made.split == split:
            return made
    raise AssertionError("count() ends never")


def _drawn(rng: Random, size: int) -> Puzzle:
    numbers = tuple(rng.randint(1, LARGEST) for _ in range(size))
    terms = [(n, str(n)) for n in numbers]
    steps: list[str] = []
    while len(terms) > 1:
        rng.shuffle(terms)
        (a, left), (b, right) = sorted((terms.pop(), terms.pop()), reverse=True)
        sign, value = rng.choice(_moves(a, b))
        steps.append(f"{a} {sign} {b} = {value}")
        terms.append((value, f"({left} {sign} {right})"))
    value, expression = terms[0]
    return Puzzle(numbers, value, expression[1:-1], tuple(steps))


def _moves(a: int, b: int) -> list[tuple[str, int]]:
    """What can be done with two whole numbers, ``a`` not below ``b``: results are above zero."""
    moves = [("+", a + b), ("*", a * b)]
    if a > b:
        moves.append(("-", a - b))
    if a % b == 0:
        moves.append(("/", a // b))
    return moves
