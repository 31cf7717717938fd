"""Programs: found in an answer, run with their tests in the sandbox."""

from __future__ import annotations

import ast
import re
import textwrap
from dataclasses import dataclass

from ablate.grading.base import LONGEST, Grader
from ablate.sandbox import Limits, Ran, run_tests, unavailable
from ablate.thinking import visible_text
from ablate.types import FinishReason, Grade, Problem

OPENING = re.compile(r"^([ \t]*)(`{3,}|~{3,})[ \t]*([\w+#.-]*)[^`\n]*$", re.MULTILINE)
PYTHON = frozenset({"python", "python3", "py", "py3"})
LONGEST_BARE = 100_000
"""Characters of a text without a fenced block that are read as a program."""


DEFAULT = Limits()


@dataclass(frozen=True)
class Tests:
    """What a program must do. ``before`` stands before it, ``after`` is run when it has ended.

    ``stub``: the beginning of a function, for answers that consist of the rest of it.
    """

    after: str
    before: str = ""
    stub: str = ""
    limits: Limits = DEFAULT


class Code(Grader):
    """Runs a Python program with its tests: the payload, or the reference as a test program.

    Raises TimeoutError when the time of the clock ran out, which on a busy machine says nothing.
    """

    def read(self, visible: str, problem: Problem, *, firm: bool = False) -> str | None:
        return program_in(visible, closed=firm)

    def equal(self, answer: str, problem: Problem) -> bool:
        return self.run(answer, problem).passed

    def problem_with(self, reference: str) -> str | None:
        try:
            compile(reference, "<tests>", "exec")
        except (SyntaxError, ValueError) as error:
            return f"it is no Python program: {error}"
        return super().problem_with(reference) or unavailable()

    def grade(self, problem: Problem, text: str, finish_reason: FinishReason) -> Grade:
        cut = finish_reason == "length"
        program = self.read(visible_text(text), problem, firm=cut)
        if program is None:
            return Grade("truncated" if cut else "unparsed")
        return graded(self.run(program, problem))

    def run(self, program: str, problem: Problem) -> Ran:
        tests = problem.payload
        if not isinstance(tests, Tests):
            tests = Tests(problem.reference)
        if tests.stub and program.lstrip("\r\n")[:1].isspace():
            return run_tests(tests.stub + program, tests.after, tests.limits)
        return run_tests(joined(tests.before, program), tests.after, tests.limits)


def graded(ran: Ran) -> Grade:
    """The grade of a program that was run. Raises TimeoutError if it ran out of wall time."""
    if ran.status == "out_of_wall_time":
        raise TimeoutError(ran.detail)
    if ran.passed:
        return Grade("correct", "passed")
    return Grade("wrong", f"failed: {ran.detail}"[:LONGEST])


def program_in(text: str, *, closed: bool = False) -> str | None:
    """The program in an answer; None if there is none.

    The last block fenced as Python, else the last without a language, else the last of any; else
    one that was opened and not closed; else the whole text, if it is a program. ``closed``: only a
    block that was closed.
    """
    blocks, rest = _blocks(text)
    for wanted in (PYTHON, {""}, None):
        for language, block in reversed(blocks):
            if block.strip() and (wanted is None or language in wanted):
                return block
    if closed:
        return None
    return rest if rest is not None and rest.strip() else _bare(text)


def _blocks(text: str) -> tuple[list[tuple[str, str]], str | None]:
    """Closed blocks with their languages, and what follows a fence that is not closed."""
    found: list[tuple[str, str]] = []
    at = 0
    while opening := OPENING.search(text, at):
        indent, fence, language = opening.groups()
        closing = re.compile(rf"^[ \t]*{fence[0]}{{{len(fence)},}}[ \t]*$", re.MULTILINE)
        end = closing.search(text, opening.end())
        body = text[opening.end() + 1 : end.start() if end else len(text)]
        if indent:
            body = textwrap.dedent(body)
        if end is None:
            return found, body
        found.append((language.lower(), body))
        at = end.end()
    return found, None


def _bare(text: str) -> str | None:
    """A text that is a program as a whole, and not just words or a number."""
    if len(text) > LONGEST_BARE:
        return None
    try:
        lines = ast.parse(text).body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return None
    does = [
        one for one in lines if not isinstance(one, ast.Expr) or isinstance(one.value, ast.Call)
    ]
    return text if does else None


FUTURE = re.compile(r"^from __future__ import [^\n(]*$\n?", re.MULTILINE)


def joined(before: str, program: str) -> str:
    """Both as one program; imports from ``__future__``, which must come first, do."""
    if not before:
        return program
    futures = "".join(line.rstrip("\n") + "\n" for line in FUTURE.findall(program))
    return f"{futures}{before}\n{FUTURE.sub('', program) if futures else program}"
