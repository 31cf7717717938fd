"""Boolean expressions, reduced pass by pass from the inside out."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from random import Random
from typing import ClassVar

from ablate.domains._split import Generated, Worked, think

OPERATORS: Mapping[str, Callable[[bool, bool], bool]] = {
    "and": lambda left, right: left and right,
    "or": lambda left, right: left or right,
    "xor": lambda left, right: left != right,
    "implies": lambda left, right: not left or right,
}

VARIABLES = "pqrstuvwxyz"
MOST_VARIABLES = 6
NOT_SHARE = 0.3

ANSWER = re.compile(r"\b(true|false)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Leaf:
    """A variable, or a value once it has been worked out; ``negated``: with "not" before it."""

    name: str
    value: bool
    negated: bool = False

    def __str__(self) -> str:
        return f"not {self.name}" if self.negated else self.name


@dataclass(frozen=True)
class Node:
    """A binary operator in parentheses, with "not" before them if ``negated``."""

    operator: str
    left: Leaf | Node
    right: Leaf | Node
    negated: bool = False

    def __str__(self) -> str:
        text = f"({self.left} {self.operator} {self.right})"
        return f"not {text}" if self.negated else text


@dataclass(frozen=True)
class Logic(Generated):
    """Boolean expressions of several variables; difficulty is the number of binary operators."""

    max_difficulty: int = 16

    name: ClassVar[str] = "logic"

    def make(self, rng: Random, difficulty: int) -> Worked:
        names = rng.sample(VARIABLES, min(difficulty + 1, MOST_VARIABLES))
        values = {name: rng.random() < 0.5 for name in names}
        tree = _tree(rng, difficulty, values)
        given = ", ".join(f"{name} = {_word(value)}" for name, value in values.items())
        prompt = f"Let {given}. Evaluate {tree}. Answer true or false."
        lines, answer = _work_out(tree)
        return Worked(prompt, think(lines, answer), answer)

    def extract(self, visible: str) -> str | None:
        """The last "true" or "false", in lower case."""
        words = ANSWER.findall(visible)
        return words[-1].lower() if words else None


def _word(value: bool) -> str:
    return "true" if value else "false"


def _constant(value: bool) -> Leaf:
    return Leaf(_word(value), value)


def _tree(rng: Random, operators: int, values: Mapping[str, bool]) -> Leaf | Node:
    negated = rng.random() < NOT_SHARE
    if operators == 0:
        name = rng.choice(list(values))
        return Leaf(name, values[name], negated)
    # Splits near the middle keep the depth, and so the number of passes, small.
    left = rng.randint((operators - 1) // 4, operators - 1 - (operators - 1) // 4)
    return Node(
        rng.choice(list(OPERATORS)),
        _tree(rng, left, values),
        _tree(rng, operators - 1 - left, values),
        negated,
    )


def _work_out(tree: Leaf | Node) -> tuple[list[str], str]:
    """The expression with its variables' values, then after each pass; the last is the answer."""
    tree = _substitute(tree)
    lines = [str(tree)]
    while isinstance(tree, Node):
        tree = _reduce(tree)
        lines.append(str(tree))
    return lines, lines[-1]


def _substitute(node: Leaf | Node) -> Leaf | Node:
    """Values for variables; a "not" before a variable is worked out at once."""
    if isinstance(node, Leaf):
        return _constant(node.value != node.negated)
    return replace(node, left=_substitute(node.left), right=_substitute(node.right))


def _reduce(node: Leaf | Node) -> Leaf | Node:
    """One pass: every operator between two values becomes a value, with the "not" before it."""
    if isinstance(node, Leaf):
        return node
    if isinstance(node.left, Leaf) and isinstance(node.right, Leaf):
        value = OPERATORS[node.operator](node.left.value, node.right.value)
        return _constant(value != node.negated)
    return replace(node, left=_reduce(node.left), right=_reduce(node.right))
