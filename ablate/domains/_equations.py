"""Linear equations in one unknown, solved by collecting the terms of each side."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from ablate.domains._split import Worked, think
from ablate.domains.arithmetic import HIGHEST, LOWEST, operand_up_to

FEWEST, MOST = 2, 19  # what the coefficient of x may be on one side


@dataclass(frozen=True)
class Side:
    """``x`` times the unknown plus ``constant``."""

    x: int
    constant: int

    def __str__(self) -> str:
        return f"{self.x}x + {self.constant}"


@dataclass(frozen=True)
class Term:
    """A term with its sign, and the collected side it leads to."""

    text: str
    collected: Side


def equation(rng: Random, difficulty: int) -> Worked:
    """An equation with ``difficulty - 1`` terms to collect; its solution has two digits."""
    unknown, factor = rng.randint(10, 99), rng.randint(2, 9)
    right = Side(rng.randint(FEWEST, 9), 0)
    constant = rng.randint(LOWEST, HIGHEST - factor * unknown)
    left = Side(right.x + factor, constant)
    right = Side(right.x, constant + factor * unknown)
    on_left = rng.randint(0, difficulty - 1)
    first_left, left_terms = _spread(rng, left, on_left)
    first_right, right_terms = _spread(rng, right, difficulty - 1 - on_left)
    told = " = ".join(
        " ".join([str(first), *(term.text for term in terms)])
        for first, terms in ((first_left, left_terms), (first_right, right_terms))
    )
    lines = [
        f"left: {first_left}",
        *(f"{term.text}: {term.collected}" for term in left_terms),
        f"right: {first_right}",
        *(f"{term.text}: {term.collected}" for term in right_terms),
        f"{left.x}x - {right.x}x = {right.constant} - {left.constant}",
        f"{factor}x = {factor * unknown}",
        f"x = {unknown}",
    ]
    return Worked(f"Solve {told} for x.", think(lines, str(unknown)), str(unknown))


def _spread(rng: Random, collected: Side, terms: int) -> tuple[Side, list[Term]]:
    """Take ``terms`` terms out of a side, the last first; what remains, and the terms."""
    taken: list[Term] = []
    for _ in range(terms):
        take = rng.choice((_take_x, _take_constant))
        text, before = take(rng, collected)
        taken.append(Term(text, collected))
        collected = before
    return collected, taken[::-1]


def _take_x(rng: Random, side: Side) -> tuple[str, Side]:
    signs = [sign for sign, room in (("+", side.x - FEWEST), ("-", MOST - side.x)) if room >= 2]
    sign = rng.choice(signs)
    room = side.x - FEWEST if sign == "+" else MOST - side.x
    count = rng.randint(2, min(9, room))
    return f"{sign} {count}x", Side(side.x + (-count if sign == "+" else count), side.constant)


def _take_constant(rng: Random, side: Side) -> tuple[str, Side]:
    rooms = {"+": side.constant - LOWEST, "-": HIGHEST - side.constant}
    sign = rng.choice([sign for sign, room in rooms.items() if room >= 1])
    count = operand_up_to(rng, rooms[sign])
    return f"{sign} {count}", Side(side.x, side.constant + (-count if sign == "+" else count))
