"""Numbers as an engineer in a hurry reads them: three digits, a unit, and a direction in words."""

from __future__ import annotations

from collections.abc import Mapping
from math import floor, log10
from typing import Any

from ablate.metrics import NAMES

MINUS = "\N{MINUS SIGN}"
TIMES = "\N{MULTIPLICATION SIGN}"
_DIRECTIONS: Mapping[str, tuple[str, str]] = {
    "bytes": ("larger", "smaller"),
    "tokens": ("longer", "shorter"),
    "tok/s": ("faster", "slower"),
    "req/s": ("faster", "slower"),
    "ratio": ("more uneven", "more even"),
    "s": ("slower", "faster"),
    "ms": ("slower", "faster"),
}
"""Unit -> what a ratio above one means, and what a ratio below one means."""
_COUNTS = ("requests", "times", "steps")
_SMALL = ("money", "J", "J/token")


def quantity(name: str, value: float | None) -> str:
    """A metric's value with its unit, such as ``412 tok/s`` or ``13.6 MB``; a dash for None."""
    if value is None:
        return "—"
    unit = NAMES[name].unit
    if unit == "share":
        return percent(value)
    if unit == "bytes":
        return _bytes(value)
    if unit in _COUNTS and value == int(value):
        return f"{value:,.0f}"
    if unit in _SMALL and 0 < value < 0.1:
        return f"{value:.{2 - floor(log10(value))}f}"
    if unit == "ms" and value >= 10_000:
        return f"{digits(value / 1e3)} s"
    return f"{digits(value)} {unit}" if unit in _DIRECTIONS and unit != "ratio" else digits(value)


def _bytes(value: float) -> str:
    for power, unit in ((4, "TB"), (3, "GB"), (2, "MB"), (1, "kB")):
        if value >= 1000**power:
            return f"{digits(value / 1000**power)} {unit}"
    return f"{value:.0f} B"


def digits(value: float) -> str:
    """Three significant digits, never an exponent."""
    size = abs(value)
    places = 0 if size >= 100 else 1 if size >= 10 else 2 if size >= 1 else 3
    return f"{value:,.{places}f}"


def percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def points(share: float) -> str:
    """A difference in percentage points, signed, without its unit."""
    text = f"{100 * share:+.1f}"
    return "0.0" if float(text) == 0 else text.replace("-", MINUS)


def interval(low: float | None, high: float | None, signed: bool) -> str:
    """``[low, high]`` in percent or, ``signed``, in points; empty without an interval."""
    if low is None or high is None:
        return ""
    if signed:
        return f"[{points(low)}, {points(high)}]"
    return f"[{100 * low:.1f}, {100 * high:.1f}]"


def change(name: str, estimate: Mapping[str, Any]) -> tuple[str, ...]:
    """A ratio in words, then its interval: ``("1.30x faster", "[1.21, 1.40]")``.

    An interval on both sides of no change says so: ``"[1.10x slower"``, ``"to 1.90x faster]"``.
    """
    value, low, high = estimate["value"], estimate["low"], estimate["high"]
    if value is None:
        return ("—",)
    spoken = _spoken(name, value)
    if low is None or high is None:
        return (spoken,)
    if low < 1 < high and not _factor(low) == _factor(high) == "1.00":
        return spoken, f"[{_spoken(name, low)}", f"to {_spoken(name, high)}]"
    near, far = sorted(max(end, 1 / end) if end else float("inf") for end in (low, high))
    return spoken, f"[{_factor(near)}, {_factor(far)}]"


def _spoken(name: str, ratio: float) -> str:
    more, less = _DIRECTIONS[NAMES[name].unit]
    size = _factor(max(ratio, 1 / ratio))
    word = "(same)" if size == "1.00" else more if ratio > 1 else less
    return f"{size}{TIMES} {word}"


def _factor(value: float) -> str:
    return f"{value:,.2f}" if value < 10 else f"{value:,.1f}" if value < 100 else f"{value:,.0f}"


def better(name: str, estimate: Mapping[str, Any]) -> bool | None:
    """Whether a ratio's interval says better (True) or worse (False), None if it says neither.

    A change that rounds to nothing is none, however surely it was measured.
    """
    direction, low, high = NAMES[name].better, estimate["low"], estimate["high"]
    if direction == "neither" or low is None or high is None or low <= 1 <= high:
        return None
    if f"{estimate['value']:.2f}" == "1.00":
        return None
    return bool(low > 1) == (direction == "higher")


def p_value(p: float | None) -> str:
    """Two digits, and no pretence of more below one in a thousand."""
    return "—" if p is None else "< 0.001" if p < 0.001 else f"{p:.2g}"
