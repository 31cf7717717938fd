"""One colour, line and mark for each arm, the same in every chart.

Colours are those of Okabe and Ito (*Color Universal Design*, 2008), which readers with any common
colour vision tell apart. They are names of CSS variables, so that light and dark pages differ.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ablate.types import RunInfo

COLOURS = 6
DASHES = ("solid", "dash", "dot", "dashdot")
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "star")


@dataclass(frozen=True)
class Style:
    """``colour`` is a CSS variable such as ``var(--arm-1)``."""

    colour: str
    dash: str
    symbol: str

    @property
    def line(self) -> dict[str, Any]:
        return {"color": self.colour, "dash": self.dash, "width": 2}


def styles(info: RunInfo) -> dict[str, Style]:
    """Arm -> its style: ink for the baseline, grey for its repeats, then the six colours.

    Beyond six arms colours repeat with other lines and marks.
    """
    found, number = {}, 0
    for arm in info.arms:
        if arm.replicate:
            found[arm.id] = Style("var(--again)", "dot", "circle-open")
        elif set(arm.levels.values()) <= {"off"}:
            found[arm.id] = Style("var(--baseline)", "solid", "circle")
        else:
            round_, colour = divmod(number, COLOURS)
            found[arm.id] = Style(
                f"var(--arm-{colour + 1})",
                DASHES[round_ % len(DASHES)],
                SYMBOLS[round_ % len(SYMBOLS)],
            )
            number += 1
    return found
