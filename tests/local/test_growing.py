"""How much memory a store takes when it needs more."""

from __future__ import annotations

from operator import mul

from hypothesis import given
from hypothesis import strategies as st

from ablate.engines.local.growing import POSITIONS, grown

PAIRS = st.tuples(st.integers(0, 40), st.integers(0, 600))


@given(have=PAIRS, need=PAIRS, room=st.integers(0, 40_000))
def test_what_is_needed_is_given_and_no_more_than_fits(
    have: tuple[int, int], need: tuple[int, int], room: int
) -> None:
    most = (40, 600)
    slots, positions = grown(have, need, most, mul, room)
    assert need[0] <= slots <= most[0]
    assert need[1] <= positions <= most[1]
    assert slots * positions <= max(room, mul(*need))


def test_it_grows_ahead_while_there_is_room_and_step_by_step_when_there_is_little() -> None:
    assert grown((4, 64), (5, 65), (32, 1000), mul, 10**6) == (8, 2 * POSITIONS)
    assert grown((4, 64), (2, 100), (32, 1000), mul, 10**6) == (4, 2 * POSITIONS)  # slots stay
    # of 1,000 there are 200 a slot, of which 30 more than needed
    assert grown((5, 128), (5, 170), (32, 1000), mul, 1000) == (5, 200)
    assert grown((5, 200), (5, 201), (32, 1000), mul, 1000) == (5, 201)  # the caller's to refuse
