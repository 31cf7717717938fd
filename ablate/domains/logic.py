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

    A problem of difficulty d has 2d + 1 boolean expressions or 2d + 1 islanders (at most 23).
    ``knights`` is the share of problems that are of the second kind.
    """

    knights: float = 0.5

    name: ClassVar[str] = "logic"
    hardest: ClassVar[int] = 11

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_share("knights", self.knights)

    def make(self, rng: Random, difficulty: int) -> Worked:
        size = 2 * difficulty + 1
        return knights(rng, size) if rng.random() < self.knights else expressions(rng, size)

    def extract(self, visible: str) -> str | None:
        """The last three of true, false, knight and knave, in lower case."""
        words = ANSWER.findall(visible)
        return " ".join(words[-ASKED:]).lower() if len(words) >= ASKED else None
