"""What keeps an answer from doing harm in a scorer that evaluates it, or reads it without bounds.

Several scorers call ``eval`` or sympy's ``parse_expr``, which calls it, on what a model wrote. An
answer such as ``9**9**9**9`` would never end there, and code would run.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Callable, Mapping

# The longest reference has some 2000 characters; scorers take seconds for 100 000.
LONGEST = 10_000

# Powers of powers: the degree of an expression, taken as a polynomial of its numbers and names.
HIGHEST_DEGREE = 100

WORDS = re.compile(r"[\w\s]*")
LARGE_EXPONENT = re.compile(r"[eE][+-]?\d{4}")


def harmless(answer: str, task: str) -> bool:
    """Whether a task's scorer can be given an answer; the right answers are all harmless."""
    check = CHECKS.get(task)
    return len(answer) <= LONGEST and (check is None or check(answer))


def _words(answer: str) -> bool:
    """Words and numbers alone, in which nothing can be called or computed."""
    return WORDS.fullmatch(answer) is not None


def _arithmetic(answer: str) -> bool:
    """Numbers and names joined by arithmetic, with small powers."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(answer.strip(), mode="eval")
        return _degree(tree.body) <= HIGHEST_DEGREE
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return False


def _degree(node: ast.expr) -> float:
    """A bound on how an expression grows. Raises ValueError for what is no arithmetic."""
    match node:
        case ast.Name():
            return 1
        case ast.Constant(value=int() | float() as value) if abs(value) < 1e100:
            return 1
        case ast.UnaryOp(op=ast.UAdd() | ast.USub(), operand=operand):
            return _degree(operand)
        case ast.BinOp(left=base, op=ast.Pow(), right=ast.Constant(value=int() as exponent)):
            return _degree(base) * max(exponent, 1)
        case ast.BinOp(left=left, op=ast.Add() | ast.Sub(), right=right):
            return max(_degree(left), _degree(right))
        case ast.BinOp(left=left, op=ast.Mult() | ast.Div(), right=right):
            return _degree(left) + _degree(right)
        case _:
            raise ValueError(ast.dump(node))


def _small_exponents(answer: str) -> bool:
    """No ``1e999999999``, which would be written out as a fraction."""
    return LARGE_EXPONENT.search(answer) is None


def _a_number(answer: str) -> bool:
    """Not ``nan``: no distance to it is too large for the scorer."""
    return "nan" not in answer.lower()


CHECKS: Mapping[str, Callable[[str], bool]] = {
    "binary_matrix": _words,
    "coin_flip": _small_exponents,
    "complex_arithmetic": _a_number,
    "countdown": _arithmetic,
    "n_queens": _words,
    "polynomial_multiplication": _arithmetic,
    "simple_integration": _arithmetic,
    "spiral_matrix": _words,
    "string_insertion": _words,
}
