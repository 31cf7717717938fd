"""By how much a KV store's memory grows: every slot has room for as many positions."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable

SLOTS, POSITIONS = 4, 64  # by which memory grows


def grown(
    have: tuple[int, int],
    need: tuple[int, int],
    most: tuple[int, int],
    taken: Callable[[int, int], float],
    room: float,
) -> tuple[int, int]:
    """Slots and positions to have: some more than needed, to spare copies; near the end, less.

    Each pair is of slots and positions. ``taken(slots, positions)``: what so many take of ``room``,
    in its unit; it must not fall with either. What is needed is given, whether it fits or not.
    """
    slots, positions = need
    more_slots = _more(have[0], slots, SLOTS, most[0])
    more_positions = _more(have[1], positions, POSITIONS, most[1])
    if taken(more_slots, more_positions) <= room / 2:
        return more_slots, more_positions
    more_slots = min(more_slots, slots + slots // 8)
    if taken(more_slots, positions) > room:
        more_slots = slots
    choice = range(positions, max(positions, min(positions + POSITIONS, most[1])) + 1)
    fitting = bisect_right(choice, room, key=lambda n: taken(more_slots, n))
    return more_slots, choice[max(fitting - 1, 0)]


def up(positions: int) -> int:
    """To the next number by which memory grows."""
    return _multiple(positions, POSITIONS)


def wasteful(have: int, need: int) -> bool:
    """Whether so many positions are by a step or more beyond what memory would grow to."""
    return up(need) + POSITIONS <= have


def _more(have: int, need: int, step: int, most: int) -> int:
    """``have`` where that is enough; else ``need`` up to a multiple, but not beyond ``most``."""
    return have if need <= have else max(need, min(_multiple(need, step), most))


def _multiple(number: int, step: int) -> int:
    return -(-number // step) * step
