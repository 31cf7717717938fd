"""Additions, subtractions and multiplications of whole numbers, as bare chains and as stories."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import ClassVar

from ablate.domains._split import Generated, Worked, think

# Every value stays within these, so that every step is about equally hard.
LOWEST, HIGHEST = 100, 999

# Operands have one to three digits; long ones are the more frequent.
OPERAND_BOUNDS = (9, 99, 999, 999, 999)

MOST_DIGITS = 1000
NUMBER = re.compile(r"-?\d{1,3}(?:,\d{3})+(?!\d)|-?\d+")

CHAIN = {"+": ("Add",), "-": ("Subtract",), "*": ("Multiply by",)}
STORY = {
    "+": ("{who} finds {n} more.", "{who} buys {n} more.", "{who} is given {n} more."),
    "-": ("{who} sells {n}.", "{who} loses {n}.", "{who} gives away {n}."),
    "*": ("{who} now gets {n} times as many.",),
}
PEOPLE = (("Ann", "She"), ("Ben", "He"), ("Eve", "She"), ("Tom", "He"), ("Mia", "She"))
THINGS = ("apples", "books", "cards", "coins", "eggs", "pens", "shells", "stamps")


@dataclass(frozen=True)
class Step:
    """One operation with a value: its sign, the operand and the result."""

    sign: str
    operand: int
    result: int


@dataclass(frozen=True)
class Arithmetic(Generated):
    """Multi-step arithmetic; difficulty is the number of operations."""

    name: ClassVar[str] = "arithmetic"

    def make(self, rng: Random, difficulty: int) -> Worked:
        value = start = rng.randint(LOWEST, HIGHEST)
        steps = []
        lines = []
        for _ in range(difficulty):
            step = step_from(rng, value)
            steps.append(step)
            lines.append(f"{value} {step.sign} {step.operand} = {step.result}")
            value = step.result
        tell = rng.choice((_chain, _story))
        return Worked(tell(rng, start, steps), think(lines, str(value)), str(value))

    def extract(self, visible: str) -> str | None:
        return last_number(visible)


def last_number(visible: str) -> str | None:
    """The last whole number in a text, without thousands separators; None if there is none."""
    numbers = NUMBER.findall(visible)
    if not numbers:
        return None
    digits: str = numbers[-1].replace(",", "")
    # a model that repeats a digit for ever: Python makes no number of more than 4300 of them
    return str(int(digits)) if len(digits) <= MOST_DIGITS else digits


def step_from(rng: Random, value: int) -> Step:
    """An operation that keeps a value of three digits at three digits."""
    kinds = [_add] * (2 if value < HIGHEST else 0) + [_subtract] * (2 if value > LOWEST else 0)
    if value <= HIGHEST // 2:
        kinds.append(_multiply)
    return rng.choice(kinds)(rng, value)


def operand_up_to(rng: Random, highest: int) -> int:
    """A number from 1 to ``highest``, of one to three digits."""
    return rng.randint(1, min(highest, rng.choice(OPERAND_BOUNDS)))


def _add(rng: Random, value: int) -> Step:
    operand = operand_up_to(rng, HIGHEST - value)
    return Step("+", operand, value + operand)


def _subtract(rng: Random, value: int) -> Step:
    operand = operand_up_to(rng, value - LOWEST)
    return Step("-", operand, value - operand)


def _multiply(rng: Random, value: int) -> Step:
    operand = rng.randint(2, min(9, HIGHEST // value))
    return Step("*", operand, value * operand)


def _chain(rng: Random, start: int, steps: Sequence[Step]) -> str:
    told = [f"{rng.choice(CHAIN[step.sign])} {step.operand}." for step in steps]
    return " ".join([f"Start with {start}.", *told, "What is the result?"])


def _story(rng: Random, start: int, steps: Sequence[Step]) -> str:
    name, pronoun = rng.choice(PEOPLE)
    things = rng.choice(THINGS)
    told = [rng.choice(STORY[step.sign]).format(who=pronoun, n=step.operand) for step in steps]
    question = f"How many {things} does {name} have in the end?"
    return " ".join([f"{name} has {start} {things}.", *told, question])
