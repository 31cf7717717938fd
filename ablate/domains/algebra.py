"""Linear equations with many terms, and long multiplication."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import ClassVar

from ablate.domains import _equations, _products
from ablate.domains._split import Generated, Worked
from ablate.domains.arithmetic import last_number


@dataclass(frozen=True)
class Algebra(Generated):
    """Half equations, half products.

    An equation of difficulty d has d + 3 terms. Of a product, difficulty is the number of digits of
    all the factors after the first, which has three.
    """

    name: ClassVar[str] = "algebra"

    def make(self, rng: Random, difficulty: int) -> Worked:
        kind = rng.choice((_equations.equation, _products.product))
        return kind(rng, difficulty)

    def extract(self, visible: str) -> str | None:
        return last_number(visible)
