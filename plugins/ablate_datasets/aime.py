"""AIME: thirty problems of a year, each with an integer from 0 to 999 as its answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ablate.errors import RecipeError
from ablate.grading.numbers import only_number
from ablate.types import Problem
from ablate_datasets.dataset import DatasetDomain
from ablate_datasets.harness import harness_version, task_functions
from ablate_datasets.maths import asked, continued
from ablate_datasets.source import Row, Source

TASK = "aime"

# Of the harness's tasks aime24 and aime25, version 0.
STOPS = ("Question:", "</s>", "<|im_end|>", "<|eot_id|>")
MAX_GEN_TOKS = 32_768


@dataclass(frozen=True)
class Aime(DatasetDomain):
    """Problems of one year's two contests; zero-padded answers are read as integers."""

    name: ClassVar[str]
    grading: ClassVar[str] = "numeric"
    about: ClassVar[str] = "The problems are the Mathematical Association of America's."
    question: ClassVar[str]
    answer: ClassVar[str]

    @property
    def statement(self) -> str:
        if self.protocol == "reasoning":
            return f"{self.origin}. Chat, the integer within \\boxed{{}}, compared exactly."
        return (
            f"{self.origin}. As {self.name} of lm-evaluation-harness {harness_version()}: no "
            f"examples, {MAX_GEN_TOKS} tokens, ends at {', '.join(STOPS)}; its exact match."
        )

    def problem(self, row: Row, index: int) -> Problem:
        number = only_number(str(row[self.answer]))
        if number is None:
            raise RecipeError([f"{self.name}: the answer of row {index + 1} is not a number"])
        made = Problem(
            id=f"{self.name}-{index}",
            domain=self.name,
            prompt=asked(row[self.question]),
            reference=number,
        )
        if self.protocol == "reasoning":
            return made
        task_functions(TASK)  # so that what is missing is said now
        prompt = f"Question: {row[self.question]}\nAnswer:"
        return continued(made, prompt, STOPS, MAX_GEN_TOKS, str(row[self.answer]))

    def harness(self, problem: Problem, text: str) -> tuple[bool, str | None]:
        judged = task_functions(TASK).process_results({"answer": problem.payload}, [text])
        return bool(judged["exact_match"]), self.extract(text)


@dataclass(frozen=True)
class Aime24(Aime):
    """AIME 2024 I and II."""

    name: ClassVar[str] = "aime24"
    source: ClassVar[Source] = Source("Maxwell-Jia/AIME_2024", "train")
    needed: ClassVar[tuple[str, ...]] = ("Problem", "Answer")
    question: ClassVar[str] = "Problem"
    answer: ClassVar[str] = "Answer"


@dataclass(frozen=True)
class Aime25(Aime):
    """AIME 2025 I and II."""

    name: ClassVar[str] = "aime25"
    source: ClassVar[Source] = Source("math-ai/aime25", "test")
    needed: ClassVar[tuple[str, ...]] = ("problem", "answer")
    question: ClassVar[str] = "problem"
    answer: ClassVar[str] = "answer"
