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
    """Equations and products.

    An equation of difficulty d has d + 3 terms. Of a product, difficulty is the number of digits of
    all the factors after the first, which has three. ``equations`` is the share of problems that
    are of the first kind.
    """

    max_difficulty: int = 12
    equations: float = 0.5

    name: ClassVar[str] = "algebra"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_share("equations", self.equations)

    def make(self, rng: Random, difficulty: int) -> Worked:
        if rng.random() < self.equations:
            return _equations.equation(rng, difficulty)
        return _products.product(rng, difficulty)

    def extract(self, visible: str) -> str | None:
        return last_number(visible)
