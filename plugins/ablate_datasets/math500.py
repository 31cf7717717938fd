"""MATH-500: five hundred problems of high-school competitions."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from ablate.errors import RecipeError, did_you_mean
from ablate.grading import symbolic
from ablate.types import Problem
from ablate_datasets.dataset import DatasetDomain
from ablate_datasets.harness import harness_version, task_functions
from ablate_datasets.maths import MAX_GEN_TOKS, asked, continued
from ablate_datasets.source import Row, Source

TASK = "minerva_math"
SUBJECTS = (
    "Algebra",
    "Counting & Probability",
    "Geometry",
    "Intermediate Algebra",
    "Number Theory",
    "Prealgebra",
    "Precalculus",
)
LEVELS = range(1, 6)

# Of the harness's task minerva_math500, version 3.
STOPS = ("Problem:",)
NOTHING = "[invalidanswer]"
SECONDS = 5  # after which its comparison says "no"


@dataclass(frozen=True)
class Math500(DatasetDomain):
    """Competition problems; difficulty is the level, 1 to 5.

    ``subjects``, ``levels``: only these (all, where empty). ``filter``: how ``lm_eval`` judges:
    ``math_verify`` (the default) or ``minerva``, its exact match of normalized answers.
    """

    name: ClassVar[str] = "math500"
    grading: ClassVar[str] = "symbolic"
    slow: ClassVar[bool] = True
    about: ClassVar[str] = (
        "From the test split of MATH (arXiv:2103.03874), as chosen in arXiv:2305.20050."
    )
    source: ClassVar[Source] = Source("HuggingFaceH4/MATH-500", "test", "default")
    needed: ClassVar[tuple[str, ...]] = (
        "problem",
        "solution",
        "answer",
        "subject",
        "level",
        "unique_id",
    )

    filter: Literal["math_verify", "minerva"] | None = None
    subjects: tuple[str, ...] = ()
    levels: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        wrong = [
            f"subjects: there is no subject {subject!r}.{did_you_mean(subject, SUBJECTS)}"
            for subject in self.subjects
            if subject not in SUBJECTS
        ]
        wrong += [f"levels are 1 to 5, not {level}" for level in self.levels if level not in LEVELS]
        if self.filter and self.protocol != "lm_eval":
            wrong.append("filter is how lm_eval judges an answer; add 'protocol: lm_eval'")
        if wrong:
            raise RecipeError(wrong)

    @property
    def statement(self) -> str:
        if self.protocol == "reasoning":
            return f"{self.origin}. Chat, the answer within \\boxed{{}}, compared by math-verify."
        judged = "math_verify" if self.filter != "minerva" else "exact_match"
        return (
            f"{self.origin}. As minerva_math500 of lm-evaluation-harness {harness_version()}: its "
            f"four examples, {MAX_GEN_TOKS} tokens, ends at {STOPS[0]}; metric {judged}."
        )

    def problems(self) -> Sequence[Problem]:
        symbolic.require()
        return super().problems()

    def rows(self) -> Sequence[Row]:
        return [
            row
            for row in super().rows()
            if (not self.subjects or row["subject"] in self.subjects)
            and (not self.levels or _level(row) in self.levels)
        ]

    def problem(self, row: Row, index: int) -> Problem:
        made = Problem(
            id=f"{self.name}-{_place(row)}",
            domain=self.name,
            prompt=asked(row["problem"]),
            reference=row["answer"],
            difficulty=float(_level(row)),
        )
        if self.protocol == "reasoning":
            return made
        if "\\boxed" not in row["solution"]:
            raise RecipeError([f"math500: the solution of {_place(row)} has no \\boxed answer"])
        prompt = _examples() + task_functions(TASK).doc_to_text(row)
        return continued(made, prompt, STOPS, MAX_GEN_TOKS, row["solution"])

    def harness(self, problem: Problem, text: str) -> tuple[bool, str | None]:
        return (_minerva if self.filter == "minerva" else _math_verify)(problem.payload, text)


def _math_verify(solution: str, text: str) -> tuple[bool, str | None]:
    if len(text) > symbolic.LONGEST_TEXT:
        return False, None
    target = symbolic.parsed(text)
    found = next((one for one in target if isinstance(one, str)), "a formula" if target else None)
    return symbolic.verified(symbolic.parsed(solution), target), found


def _minerva(solution: str, text: str) -> tuple[bool, str | None]:
    """The harness's own reading and comparison. Raises TimeoutError where that gave up."""
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError("lm-eval's comparison works in a process's main thread only")
    task = task_functions(TASK)
    gold = task.normalize_final_answer(task.remove_boxed(task.last_boxed_only_string(solution)))
    found = task.get_unnormalized_answer(text)
    start = time.monotonic()
    correct = bool(task.is_equiv(task.normalize_final_answer(found), gold))
    if not correct and time.monotonic() - start >= SECONDS:
        raise TimeoutError(f"lm-eval's comparison needs more than {SECONDS} s")
    return correct, None if found == NOTHING else found


def _examples() -> str:
    task = task_functions(TASK)
    shown: list[dict[str, Any]] = task.list_fewshot_samples()
    return "".join(f"{task.doc_to_text(one)} {one['solution']}\n\n" for one in shown)


def _level(row: Row) -> int:
    return int(re.sub(r"\D", "", str(row["level"])) or 0)


def _place(row: Row) -> str:
    """Subject and number, such as ``precalculus-807``, from ``test/precalculus/807.json``."""
    return "-".join(str(row["unique_id"]).removesuffix(".json").split("/")[-2:])
