"""Which arms of a design show what a factor level, or two of them together, do.

A *level* is (factor, label). Arms are given by their levels: factor -> label, ``off`` where the
factor is off. The same rule serves every design: a level's effect is shown by each pair of arms
that differ in it alone, so a factorial averages it over all settings of the other factors, one
at a time compares with the baseline, leave-one-out compares the full arm with the one without it.

In a fraction of a factorial no two arms differ in one level alone. There, arms with a level are
held against as many without it, if every two of the other levels are as often together in both:
then what these do, alone or two by two, cancels in the average.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

OFF = "off"
Level = tuple[str, str]
Arms = Mapping[str, Mapping[str, str]]
"""Arm id -> its levels."""


@dataclass(frozen=True)
class Setting:
    """Arms with the signs at which their scores (or logs) enter one comparison."""

    arms: tuple[str, ...]
    signs: tuple[int, ...]


@dataclass(frozen=True)
class Comparison:
    """What one level, or two together, do: an average over settings of the other factors.

    One level: on - off. Two: (both - one) - (other - none), which is 0 where each does alone what
    it does beside the other.
    """

    levels: tuple[Level, ...]
    settings: tuple[Setting, ...]

    @property
    def name(self) -> str:
        """``weights.awq``, or ``weights.awq & decode.draft``."""
        return " & ".join(level_name(level) for level in self.levels)


def level_name(level: Level) -> str:
    return ".".join(level)


def levels_of(arms: Arms) -> list[Level]:
    """Every level that some arm has switched on, in the order of factors, then of arms."""
    factors = list(dict.fromkeys(factor for levels in arms.values() for factor in levels))
    found = ((f, label) for levels in arms.values() for f, label in levels.items() if label != OFF)
    return sorted(dict.fromkeys(found), key=lambda level: factors.index(level[0]))


def main_effects(arms: Arms) -> list[Comparison]:
    """The comparison of each level that some pair of arms shows."""
    return [c for level in levels_of(arms) if (c := compare(arms, (level,))).settings]


def interactions(arms: Arms) -> list[Comparison]:
    """The comparison of every two levels of different factors that four arms show."""
    pairs = [p for p in combinations(levels_of(arms), 2) if p[0][0] != p[1][0]]
    return [c for pair in pairs if (c := compare(arms, pair)).settings]


def compare(arms: Arms, levels: Sequence[Level], without: Sequence[Level] = ()) -> Comparison:
    """The settings that show ``levels``; ``without``: only those where these levels are off."""
    index = {_key(chosen): arm for arm, chosen in arms.items()}
    barred = {factor for factor, _ in without}
    settings = []
    for chosen in arms.values():
        on = all(chosen.get(factor) == label for factor, label in levels)
        if on and all(chosen.get(factor, OFF) == OFF for factor in barred):
            setting = _setting(index, chosen, levels)
            settings += [setting] if setting else []
    if not settings and not without:
        settings = _balanced(arms, levels)
    return Comparison(tuple(levels), tuple(settings))


def _setting(
    index: Mapping[frozenset[Level], str], chosen: Mapping[str, str], levels: Sequence[Level]
) -> Setting | None:
    """The arms with ``levels`` off in every combination; None if one of them is missing."""
    found, signs = [], []
    for size in range(len(levels) + 1):
        for off in combinations(levels, size):
            arm = index.get(_key(dict(chosen) | dict.fromkeys((f for f, _ in off), OFF)))
            if arm is None:
                return None
            found.append(arm)
            signs.append((-1) ** size)
    return Setting(tuple(found), tuple(signs))


def _balanced(arms: Arms, levels: Sequence[Level]) -> list[Setting]:
    """Settings of arms that differ in more than ``levels``, where all the rest is balanced.

    One arm of each cell (which of ``levels`` are on) makes a setting; which arms stand together
    does not matter to their average. Empty where the cells are not balanced.
    """
    factors = dict(levels)
    cells: dict[tuple[bool, ...], list[str]] = {}
    for arm, chosen in arms.items():
        if all(chosen.get(f, OFF) in (OFF, label) for f, label in factors.items()):
            on = tuple(chosen.get(f, OFF) != OFF for f in factors)
            cells.setdefault(on, []).append(arm)
    others = [level for level in levels_of(arms) if level[0] not in factors]
    counts = [_together(arms, cell, others) for cell in cells.values()]
    if len(cells) < 2 ** len(factors) or len(others) < 2 or any(c != counts[0] for c in counts):
        return []
    signs = tuple((-1) ** on.count(False) for on in cells)
    return [Setting(chosen, signs) for chosen in zip(*cells.values(), strict=True)]


def _together(arms: Arms, names: Sequence[str], levels: Sequence[Level]) -> Counter[object]:
    """How often each two of ``levels`` are in which state in the arms of these names."""
    return Counter(
        (one, other, arms[name].get(one[0]) == one[1], arms[name].get(other[0]) == other[1])
        for name in names
        for one, other in combinations(levels, 2)
    )


def _key(levels: Mapping[str, str]) -> frozenset[Level]:
    return frozenset((f, label) for f, label in levels.items() if label != OFF)
