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

    Difficulty is, of an equation, the number of terms beyond the four that it cannot do without,
    plus one; of a product, the number of digits by which a number of three digits is multiplied.
    """

    name: ClassVar[str] = "algebra"

    def make(self, rng: Random, difficulty: int) -> Worked:
        kind = rng.choice((_equations.equation, _products.product))
        return kind(rng, difficulty)

    def extract(self, visible: str) -> str | None:
        return last_number(visible)
