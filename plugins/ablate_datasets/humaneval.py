"""HumanEval: functions to be written from their signature and docstring."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar

from ablate.errors import RecipeError
from ablate.grading.code import Tests
from ablate.types import Problem
from ablate_datasets.programs import (
    ASK_FUNCTION,
    LIMITS,
    ProgramDomain,
    as_the_harness,
    counted,
    text_in,
)
from ablate_datasets.source import Row, Source

# Of the harness's task humaneval, version 1.
STOPS = ("\nclass", "\ndef", "\n#", "\nif", "\nprint")
MAX_GEN_TOKS = 1024
FIELDS = ("task_id", "prompt", "test", "entry_point")
ASSERTION = re.compile(r"^\s*assert\b", re.MULTILINE)


@dataclass(frozen=True)
class HumanEval(ProgramDomain):
    """Functions to be completed, each with tests that its program must pass."""

    name: ClassVar[str] = "humaneval"
    source: ClassVar[Source] = Source("openai/openai_humaneval", "test")
    needed: ClassVar[tuple[str, ...]] = FIELDS
    about: ClassVar[str] = "164 functions (arXiv:2107.03374)."

    @property
    def statement(self) -> str:
        run = f"run with its tests in a sandbox, {LIMITS.cpu} s of CPU time"
        if self.protocol == "reasoning":
            return f"{self.origin}. Chat, the function in a fenced block, {run}."
        ends = ", ".join(repr(stop)[1:-1] for stop in STOPS)
        return (
            f"{self.origin}. As lm-evaluation-harness's humaneval: no examples, {MAX_GEN_TOKS} "
            f"tokens, ends at {ends}; prompt and output {run}."
        )

    def problem(self, row: Row, index: int) -> Problem:
        task, prompt, test, entry = (text_in(row, field, index, self.name) for field in FIELDS)
        begins = re.search(rf"^(?:async )?def {re.escape(entry)}\b", prompt, re.MULTILINE)
        if begins is None:
            raise RecipeError([f"{self.name}: row {index + 1}: prompt does not define {entry!r}"])
        chat = self.protocol == "reasoning"
        return Problem(
            id=f"{self.name}-{task.rpartition('/')[2]}",
            domain=self.name,
            prompt=f"{ASK_FUNCTION}\n\n```python\n{prompt.rstrip()}\n```" if chat else prompt,
            reference=counted(len(ASSERTION.findall(test))),
            chat=chat,
            stop=() if chat else STOPS,
            max_tokens=None if chat else MAX_GEN_TOKS,
            payload=Tests(
                f"{test}\ncheck({entry})", prompt[: begins.start()], stub=prompt, limits=LIMITS
            ),
        )

    def harness(self, problem: Problem, text: str) -> tuple[bool, str | None]:
        return as_the_harness(problem.prompt + text, problem.payload.after)
