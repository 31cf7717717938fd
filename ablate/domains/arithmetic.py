"""Chains of additions, subtractions and multiplications with small whole numbers."""

from __future__ import annotations

import re
from dataclasses import dataclass
from random import Random
from typing import ClassVar

from ablate.domains._split import Generated, Worked, think

# Every value stays within these, so that every step is about equally hard.
LOWEST, HIGHEST = 100, 999

# Operands have one to three digits; long ones are the more frequent.
OPERAND_BOUNDS = (9, 99, 999, 999, 999)

NUMBER = re.compile(r"-?\d{1,3}(?:,\d{3})+(?!\d)|-?\d+")


@dataclass(frozen=True)
class Step:
    """One operation: how the prompt says it, its sign in the solution, and its result."""

    words: str
    sign: str
    operand: int
    result: int


@dataclass(frozen=True)
class Arithmetic(Generated):
    """Multi-step arithmetic; difficulty is the number of operations."""

    name: ClassVar[str] = "arithmetic"

    def make(self, rng: Random, difficulty: int) -> Worked:
        value = start = rng.randint(LOWEST, HIGHEST)
        told = [f"Start with {start}."]
        lines = []
        for _ in range(difficulty):
            step = _step(rng, value)
            told.append(f"{step.words} {step.operand}.")
            lines.append(f"{value} {step.sign} {step.operand} = {step.result}")
            value = step.result
        prompt = " ".join([*told, "What is the result?"])
        return Worked(prompt, think(lines, str(value)), str(value))

    def extract(self, visible: str) -> str | None:
        """The last whole number, without thousands separators."""
        numbers = NUMBER.findall(visible)
        return str(int(numbers[-1].replace(",", ""))) if numbers else None


def _step(rng: Random, value: int) -> Step:
    kinds = [_add] * (2 if value < HIGHEST else 0) + [_subtract] * (2 if value > LOWEST else 0)
    if value <= HIGHEST // 2:
        kinds.append(_multiply)
    return rng.choice(kinds)(rng, value)


def _add(rng: Random, value: int) -> Step:
    operand = _operand(rng, HIGHEST - value)
    return Step("Add", "+", operand, value + operand)


def _subtract(rng: Random, value: int) -> Step:
    operand = _operand(rng, value - LOWEST)
    return Step("Subtract", "-", operand, value - operand)


def _multiply(rng: Random, value: int) -> Step:
    operand = rng.randint(2, min(9, HIGHEST // value))
    return Step("Multiply by", "*", operand, value * operand)


def _operand(rng: Random, highest: int) -> int:
    return rng.randint(1, min(highest, rng.choice(OPERAND_BOUNDS)))
