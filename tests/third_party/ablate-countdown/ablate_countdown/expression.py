"""Sums as text: read and worked out by hand, never by Python's eval."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

LONGEST = 120  # characters: six numbers with every bracket there can be take fewer
TOKEN = re.compile(r"\d{1,6}(?!\d)|[-+*/()]")


class NoExpression(ValueError):
    """The text is no expression, or has no value."""


@dataclass(frozen=True)
class Expression:
    """What an expression is worth, and the numbers in it from left to right."""

    value: Fraction
    numbers: tuple[int, ...]


def evaluate(text: str) -> Expression:
    """The value of numbers with ``+ - * /`` and brackets, exactly.

    Raises NoExpression for anything else, a division by zero and a text of more than 120
    characters.
    """
    if len(text) > LONGEST:
        raise NoExpression("too long")
    tokens = tokenize(text)
    result, rest = _sum(tokens)
    if rest:
        raise NoExpression(f"{rest[0]!r} is left over")
    return result


def tokenize(text: str) -> list[str]:
    """Numbers, signs and brackets. Raises NoExpression for anything else."""
    tokens = TOKEN.findall(text)
    if "".join(tokens) != "".join(text.split()) or re.search(r"\d\s+\d", text):
        raise NoExpression("neither number nor sign")
    return tokens


def _sum(tokens: list[str]) -> tuple[Expression, list[str]]:
    left, tokens = _product(tokens)
    while tokens and tokens[0] in "+-":
        sign, (right, tokens) = tokens[0], _product(tokens[1:])
        value = left.value + right.value if sign == "+" else left.value - right.value
        left = Expression(value, left.numbers + right.numbers)
    return left, tokens


def _product(tokens: list[str]) -> tuple[Expression, list[str]]:
    left, tokens = _atom(tokens)
    while tokens and tokens[0] in "*/":
        sign, (right, tokens) = tokens[0], _atom(tokens[1:])
        if sign == "/" and right.value == 0:
            raise NoExpression("division by zero")
        value = left.value * right.value if sign == "*" else left.value / right.value
        left = Expression(value, left.numbers + right.numbers)
    return left, tokens


def _atom(tokens: list[str]) -> tuple[Expression, list[str]]:
    match tokens:
        case [number, *rest] if number.isdigit():
            return Expression(Fraction(int(number)), (int(number),)), rest
        case ["(", *rest]:
            inner, rest = _sum(rest)
            if rest[:1] != [")"]:
                raise NoExpression("a bracket is not closed")
            return inner, rest[1:]
    raise NoExpression("a number is missing")


# as models write them: times, middle dot, division, minus, en dash
SIGNS = str.maketrans(
    {"\u00d7": "*", "\u00b7": "*", "\u00f7": "/", "\u2212": "-", "\u2013": "-", "[": "(", "]": ")"}
)
LATEX = {r"\times": "*", r"\cdot": "*", r"\div": "/", r"\left": "", r"\right": ""}
RUN = re.compile(r"[-+*/()\d][-+*/()\d \t]*")
BULLET = re.compile(r"^[-+*] +")


def found(text: str) -> Iterator[str]:
    """Every expression in a text, the last first, without spaces: ``= 24`` after it is no part."""
    for latex, sign in LATEX.items():
        text = text.replace(latex, sign)
    for run in reversed(RUN.findall(text.translate(SIGNS))):
        words = BULLET.sub("", run).strip()
        try:
            if len(evaluate(words).numbers) > 1:
                yield "".join(words.split())
        except NoExpression:
            continue
