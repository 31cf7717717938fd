"""Sort a list and say which number is at a place."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import ClassVar

from ablate.domains._split import Generated, Worked, think
from ablate.domains.arithmetic import last_number

LOWEST, HIGHEST = 10, 99
STEP = 3


@dataclass(frozen=True)
class Sorting(Generated):
    """Lists of different numbers of two digits; difficulty d sorts 3d of them (at most 90).

    One of the three last places is asked.
    """

    max_difficulty: int = 12

    name: ClassVar[str] = "sorting"
    hardest: ClassVar[int] = (HIGHEST - LOWEST + 1) // STEP

    def make(self, rng: Random, difficulty: int) -> Worked:
        numbers = rng.sample(range(LOWEST, HIGHEST + 1), STEP * difficulty)
        place = len(numbers) - rng.randint(0, 2)
        told = " ".join(map(str, numbers))
        in_order = sorted(numbers)[:place]
        line = ", ".join(f"{index} {number}" for index, number in enumerate(in_order, 1))
        answer = str(in_order[-1])
        prompt = f"Sort {told} from small to large. Which number is at place {place}?"
        return Worked(prompt, think([line], answer), answer)

    def extract(self, visible: str) -> str | None:
        return last_number(visible)
