"""What a table of a report is made of, independent of where it is shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Mood = Literal["plain", "better", "worse", "noise"]
NOISE = "≈ noise"


@dataclass(frozen=True)
class Cell:
    """``lines`` are shown one below the other; ``mood`` says what a reader may conclude."""

    lines: tuple[str, ...]
    mood: Mood = "plain"


EMPTY = Cell(("—",))


@dataclass(frozen=True)
class Sheet:
    """A table: one row an arm, with a reading aid under it."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Cell, ...]], ...]
    aid: str
