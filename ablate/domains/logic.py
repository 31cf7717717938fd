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

# How often "not" stands before a value or a pair of parentheses.
NOT_SHARE = 0.3

ANSWER = re.compile(r"\b(true|false)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Leaf:
    """True or false; ``negated``: with "not" before it."""

    value: bool
    negated: bool = False

    def __str__(self) -> str:
        return f"not {_word(self.value)}" if self.negated else _word(self.value)


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
    """Boolean expressions; difficulty is the number of binary operators."""

    max_difficulty: int = 20

    name: ClassVar[str] = "logic"

    def make(self, rng: Random, difficulty: int) -> Worked:
        tree = _tree(rng, difficulty)
        prompt = f"Evaluate {tree}. Answer true or false."
        lines, answer = _work_out(tree)
        return Worked(prompt, think(lines, answer), answer)

    def extract(self, visible: str) -> str | None:
        """The last "true" or "false", in lower case."""
        words = ANSWER.findall(visible)
        return words[-1].lower() if words else None


def _word(value: bool) -> str:
    return "true" if value else "false"


def _tree(rng: Random, operators: int) -> Leaf | Node:
    negated = rng.random() < NOT_SHARE
    if operators == 0:
        return Leaf(rng.random() < 0.5, negated)
    # Splits near the middle keep the depth, and so the number of passes, small.
    left = rng.randint((operators - 1) // 4, operators - 1 - (operators - 1) // 4)
    return Node(
        rng.choice(list(OPERATORS)),
        _tree(rng, left),
        _tree(rng, operators - 1 - left),
        negated,
    )


def _work_out(tree: Leaf | Node) -> tuple[list[str], str]:
    """The expression without "not" before values, then after each pass; the last is the answer."""
    tree = _settle(tree)
    lines = [str(tree)]
    while isinstance(tree, Node):
        tree = _reduce(tree)
        lines.append(str(tree))
    return lines, lines[-1]


def _settle(node: Leaf | Node) -> Leaf | Node:
    """Work out every "not" that stands before a value."""
    if isinstance(node, Leaf):
        return Leaf(node.value != node.negated)
    return replace(node, left=_settle(node.left), right=_settle(node.right))


def _reduce(node: Leaf | Node) -> Leaf | Node:
    """One pass: every operator between two values becomes a value, with the "not" before it."""
    if isinstance(node, Leaf):
        return node
    if isinstance(node.left, Leaf) and isinstance(node.right, Leaf):
        return Leaf(OPERATORS[node.operator](node.left.value, node.right.value) != node.negated)
    return replace(node, left=_reduce(node.left), right=_reduce(node.right))
