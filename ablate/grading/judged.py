"""Contest programs, judged by what they print or return; what is right never enters the sandbox.

Outputs are compared as LiveCodeBench's runner does: line by line, without blanks at the ends of
lines and of the whole; lines that differ are equal if they are the same decimal numbers, exactly.
Results of functions are compared as values, a tuple being a list.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from ablate.grading.code import Code
from ablate.sandbox import Limits, Ran, run_calls, run_inputs
from ablate.types import Problem

# The names that LiveCodeBench's runner gives to every program, in its order: later ones win.
MODULES = (
    "string", "re", "datetime", "collections", "heapq", "bisect", "copy", "math", "random",
    "statistics", "itertools", "functools", "operator", "io", "sys", "json",
)  # fmt: skip
PRELUDE = "\n".join(
    [
        *(f"from {module} import *" for module in (*MODULES, "builtins", "typing")),
        *(f"import {module}" for module in MODULES),
        "sys.setrecursionlimit(50000)",
    ]
)


@dataclass(frozen=True)
class Cases:
    """Inputs with the outputs that are right. ``function``: its arguments and result as JSON, one
    argument a line; None: standard input and output.
    """

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    limits: Limits
    function: str | None = None


class Judged(Code):
    """Runs a program on the ``Cases`` that a problem's payload is, or returns when it is called."""

    def run(self, program: str, problem: Problem) -> Ran:
        payload = problem.payload
        cases: Cases = payload() if callable(payload) else payload
        if cases.function is None:
            ran = run_inputs(program, cases.inputs, cases.limits, PRELUDE)
            return verdict(ran, cases.outputs, same_output)
        ran = run_calls(program, cases.function, cases.inputs, cases.limits, PRELUDE)
        return verdict(ran, cases.outputs, same_value)


def verdict(ran: Sequence[Ran], right: Sequence[str], equal: Callable[[str, str], bool]) -> Ran:
    """The first failure, told with its place; passed if there is none and every case was run."""
    for place, (one, wanted) in enumerate(zip(ran, right, strict=False), 1):
        where = f"test {place} of {len(right)}"
        if not one.passed:
            return Ran(one.status, f"{one.detail} ({where})")
        if not equal(one.output, wanted):
            return Ran("failed", f"wrong answer ({where})")
    return Ran("passed") if right and len(ran) == len(right) else Ran("failed", "not all was run")


def same_output(printed: str, right: str) -> bool:
    """Whether two outputs are the same, as LiveCodeBench's runner has it."""
    lines, wanted = ([line.strip() for line in t.strip().split("\n")] for t in (printed, right))
    return len(lines) == len(wanted) and all(map(_same_line, lines, wanted))


def _same_line(line: str, wanted: str) -> bool:
    if line == wanted:
        return True
    try:
        return [Decimal(word) for word in line.split()] == [Decimal(w) for w in wanted.split()]
    except InvalidOperation:
        return False


def same_value(returned: str, right: str) -> bool:
    """Whether two texts of JSON say the same."""
    try:
        return bool(json.loads(returned) == json.loads(right))
    except (ValueError, RecursionError):
        return False
