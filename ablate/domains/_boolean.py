"""Boolean expressions, reduced pass by pass from the inside out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random

from ablate.domains._split import Worked, think

OPERATORS: Mapping[str, Callable[[bool, bool], bool]] = {
    "and": lambda left, right: left and right,
    "or": lambda left, right: left or right,
    "xor": lambda left, right: left != right,
    "implies": lambda left, right: not left or right,
}

# How often "not" stands before a value or a pair of parentheses.
NOT_SHARE = 0.3


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


def expressions(rng: Random, operators: int) -> Worked:
    """Three expressions that share out ``operators`` binary operators."""
    sizes = [operators // 3 + (place < operators % 3) for place in range(3)]
    rng.shuffle(sizes)
    trees = [_tree(rng, size) for size in sizes]
    prompt = f"Evaluate {_listed(trees)}. Answer true or false for each."
    lines, answer = _work_out(trees)
    return Worked(prompt, think(lines, answer), answer)


def _listed(trees: Sequence[Leaf | Node]) -> str:
    return "; ".join(map(str, trees))


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


def _work_out(trees: Sequence[Leaf | Node]) -> tuple[list[str], str]:
    """The expressions without "not" before values, then after each pass; and their values."""
    trees = [_settle(tree) for tree in trees]
    lines = [_listed(trees)]
    while any(isinstance(tree, Node) for tree in trees):
        trees = [_reduce(tree) for tree in trees]
        lines.append(_listed(trees))
    return lines, " ".join(map(str, trees))


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
