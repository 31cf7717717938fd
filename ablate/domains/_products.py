"""Long multiplication, digit by digit with carries, of which the last three digits are asked."""

from __future__ import annotations

from random import Random

from ablate.domains._split import Worked, think

MODULUS = 1000  # three digits are kept, so that every line of the work has the same form


def product(rng: Random, difficulty: int) -> Worked:
    """Three digits times factors that have ``difficulty`` digits together."""
    value = start = rng.randint(100, 999)
    factors: list[int] = []
    lines: list[str] = []
    left = difficulty
    while left > 0:
        factor = _factor(rng, min(left, rng.choice((1, 2, 2))))
        factors.append(factor)
        left -= len(str(factor))
        work, value = _times(value, factor)
        lines += work
    told = " * ".join(str(number) for number in (start, *factors))
    prompt = f"What are the last three digits of {told}?"
    return Worked(prompt, think(lines, f"{value:03d}"), str(value))


def _factor(rng: Random, digits: int) -> int:
    return rng.randint(2, 9) if digits == 1 else 10 * rng.randint(1, 9) + rng.randint(1, 9)


def _times(value: int, factor: int) -> tuple[list[str], int]:
    """The lines that multiply by a factor of one or two digits, and the result."""
    tens, ones = divmod(factor, 10)
    line, low = _times_digit(value, ones)
    if tens == 0:
        return [line], low
    second, high = _times_digit(value, tens)
    shifted = high * 10 % MODULUS
    sums, total = _plus(low, shifted)
    return [line, f"{second}, {shifted:03d}", sums], total


def _times_digit(value: int, digit: int) -> tuple[str, int]:
    """One line: each digit's product with what is carried, from the right, then the result."""
    carried, columns = 0, []
    for place in _from_right(value):
        columns.append(place * digit + carried)
        carried = columns[-1] // 10
    result = value * digit % MODULUS
    return f"{value:03d} * {digit}: {_written(columns)} = {result:03d}", result


def _plus(first: int, second: int) -> tuple[str, int]:
    carried, columns = 0, []
    for above, below in zip(_from_right(first), _from_right(second), strict=True):
        columns.append(above + below + carried)
        carried = columns[-1] // 10
    result = (first + second) % MODULUS
    return f"{first:03d} + {second:03d}: {_written(columns)} = {result:03d}", result


def _from_right(value: int) -> list[int]:
    return [int(digit) for digit in reversed(f"{value:03d}")]


def _written(columns: list[int]) -> str:
    return " ".join(f"{column:02d}" for column in columns)
