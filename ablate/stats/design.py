"""Which arms of a design show what a factor level, or two of them together, do.

A *level* is (factor, label). Arms are given by their levels: factor -> label, ``off`` where the
factor is off. The same rule serves every design: a level's effect is shown by each pair of arms
that differ in it alone, so a factorial averages it over all settings of the other factors, one
at a time compares with the baseline, leave-one-out compares the full arm with the one without it.
"""

from __future__ import annotations

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
    """Every level that some arm has switched on, in the order of arms and factors."""
    found = ((f, label) for levels in arms.values() for f, label in levels.items() if label != OFF)
    return list(dict.fromkeys(found))


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


def _key(levels: Mapping[str, str]) -> frozenset[Level]:
    return frozenset((f, label) for f, label in levels.items() if label != OFF)
