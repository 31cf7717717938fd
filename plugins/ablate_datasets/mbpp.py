"""MBPP: short functions, each described in a sentence or two and by three tests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, ClassVar, Literal

from ablate.errors import RecipeError
from ablate.grading.code import Tests
from ablate.types import Problem
from ablate_datasets.harness import task_literal
from ablate_datasets.maths import MAX_GEN_TOKS
from ablate_datasets.programs import (
    ASK,
    LIMITS,
    ProgramDomain,
    as_the_harness,
    counted,
    tests_in,
    text_in,
)
from ablate_datasets.source import Row, Source

# Of the harness's task mbpp, version 1.
STOPS = ("[DONE]",)
SHOWN = 3  # tests that it shows, and the only ones that it runs

WORDS = {"full": "text", "sanitized": "prompt"}


@dataclass(frozen=True)
class Mbpp(ProgramDomain):
    """Functions described in a sentence or two; the tests are shown, since they name the function.

    ``subset``: ``full``, or the ``sanitized`` part, whose descriptions were gone over by hand.
    """

    name: ClassVar[str] = "mbpp"
    source: ClassVar[Source] = Source("google-research-datasets/mbpp", "test", "full")
    needed: ClassVar[tuple[str, ...]] = ("task_id", "test_list")
    about: ClassVar[str] = "500 functions, 257 of them sanitized (arXiv:2108.07732)."

    subset: Literal["full", "sanitized"] = "full"

    def __post_init__(self) -> None:
        if self.protocol == "lm_eval" and self.subset != "full":
            problem = "lm-evaluation-harness has no task for mbpp's sanitized subset: use protocol "
            raise RecipeError([f"{problem}reasoning, or subset full"])

    @property
    def statement(self) -> str:
        run = f"run with its tests in a sandbox, {LIMITS.cpu} s of CPU time"
        if self.protocol == "reasoning":
            return f"{self.origin}. Chat with the tests, the program in a fenced block, {run}."
        return (
            f"{self.origin}. As lm-evaluation-harness's mbpp: its three examples, "
            f"{MAX_GEN_TOKS} tokens, ends at {STOPS[0]}; {run} (the first {SHOWN})."
        )

    def place(self, split: str | None = None) -> Source:
        return replace(super().place(split), config=self.subset)

    def rows(self) -> Sequence[Row]:
        words = WORDS[self.subset]
        found = super().rows()
        for index, row in enumerate(found, 1):
            if words not in row:
                other = "sanitized" if self.subset == "full" else "full"
                hint = f"; it looks like subset {other}" if WORDS[other] in row else ""
                raise RecipeError([f"{self.name}: row {index} has no field {words!r}{hint}"])
        return found

    def problem(self, row: Row, index: int) -> Problem:
        words = text_in(row, WORDS[self.subset], index, self.name)
        tests = tests_in(row, "test_list", index, self.name)
        harness = self.protocol == "lm_eval"
        if harness and len(tests) < SHOWN:
            problem = f"protocol lm_eval shows {SHOWN} tests, and there are {len(tests)}"
            raise RecipeError([f"{self.name}: row {index + 1}: {problem}"])
        run = tests[:SHOWN] if harness else [*_before(row), *tests]
        return Problem(
            id=f"{self.name}-{row['task_id']}",
            domain=self.name,
            prompt=_examples() + _asked(words, tests) if harness else _chat(words, tests),
            reference=counted(SHOWN if harness else len(tests)),
            chat=not harness,
            stop=STOPS if harness else (),
            max_tokens=MAX_GEN_TOKS if harness else None,
            payload=Tests("\n".join(run), limits=LIMITS),
        )

    def harness(self, problem: Problem, text: str) -> tuple[bool, str | None]:
        return as_the_harness(text, problem.payload.after)


def _before(row: Row) -> list[str]:
    """What the tests need: imports, values."""
    imports = row.get("test_imports") or ()
    setup = row.get("test_setup_code") or ""
    return [*([imports] if isinstance(imports, str) else map(str, imports)), str(setup)]


def _chat(words: str, tests: Sequence[str]) -> str:
    shown = "\n".join(tests)
    return f"{words.strip()}\n\nYour program should pass these tests:\n\n{shown}\n\n{ASK}"


def _asked(words: str, tests: Sequence[str]) -> str:
    shown = "\n".join(tests[:SHOWN])
    return (
        f"You are an expert Python programmer, and here is your task: {words} "
        f"Your code should pass these tests:\n\n{shown}\n[BEGIN]\n"
    )


@cache
def _examples() -> str:
    shown: list[dict[str, Any]] = task_literal("mbpp", "list_fewshot_samples")
    return "".join(
        f"{_asked(one['text'], one['test_list'])}{one['code']}\n[DONE]\n\n" for one in shown
    )
