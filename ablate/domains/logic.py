"""Boolean reduction, and knights and knaves."""

from __future__ import annotations

import re
from dataclasses import dataclass
from random import Random
from typing import ClassVar

from ablate.domains._asking import ASKED
from ablate.domains._boolean import expressions
from ablate.domains._knights import knights
from ablate.domains._split import Generated, Worked

ANSWER = re.compile(r"\b(true|false|knight|knave)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Logic(Generated):
    """Boolean expressions, and knights and knaves.

    A problem of difficulty d has d + 2 boolean expressions or d + 2 islanders (at most 20).
    ``knights`` is the share of problems that are of the second kind.
    """

    knights: float = 0.5

    name: ClassVar[str] = "logic"
    hardest: ClassVar[int] = 18

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_share("knights", self.knights)

    def make(self, rng: Random, difficulty: int) -> Worked:
        if rng.random() < 1 - self.knights:
            return expressions(rng, difficulty + 2)
        return knights(rng, difficulty + 2)

    def extract(self, visible: str) -> str | None:
        """The last three of true, false, knight and knave, in lower case."""
        words = ANSWER.findall(visible)
        return " ".join(words[-ASKED:]).lower() if len(words) >= ASKED else None
