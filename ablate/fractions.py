"""Two-level fractional designs: few combinations that still tell effects from each other.

Every factor is on in half of the arms, whatever any two others are. So what a factor does alone is
not mixed up with what two others do together (resolution IV or more: Box & Hunter 1961, *The
2^(k-p) Fractional Factorial Designs*, Technometrics 3:311-351).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations, product

FEWEST = 4
"""With three factors, half of the arms mix each effect with the interaction of the other two."""


def fraction(factors: int) -> list[tuple[bool, ...]]:
    """Which factors are on in each arm, all off first; ``factors`` ≥ 4.

    The first few factors are combined in full. Each of the others is on where an odd number of some
    of these is, another odd choice of three or more for each. That makes ``2 * 2^ceil(log2 k)``
    arms: 8 for 4 factors, 16 for 5 to 8, 32 for 9 to 16.
    """
    basic = basics(factors)
    others = _generators(basic, factors - basic)
    return [
        (*chosen, *(sum(chosen[i] for i in generator) % 2 == 1 for generator in others))
        for chosen in product((False, True), repeat=basic)
    ]


def basics(factors: int) -> int:
    """How many of the factors are combined in full."""
    return (factors - 1).bit_length() + 1


def _generators(basic: int, needed: int) -> list[tuple[int, ...]]:
    if needed == 1:  # the longest word there is: five factors are even of resolution V
        return [tuple(range(basic))]
    return [chosen for chosen, _ in zip(_odd_choices(basic), range(needed), strict=False)]


def _odd_choices(basic: int) -> Iterator[tuple[int, ...]]:
    for size in range(3, basic + 1, 2):
        yield from combinations(range(basic), size)
