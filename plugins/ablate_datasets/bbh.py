"""BIG-Bench Hard: 27 tasks of logic, language and counting."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

from ablate.errors import RecipeError, did_you_mean
from ablate.grading import Grader
from ablate.grading.choice import Choice
from ablate.grading.exact import Exact
from ablate.types import Problem
from ablate_datasets.dataset import DatasetDomain, in_turns
from ablate_datasets.filters import exactly, first
from ablate_datasets.harness import task_settings
from ablate_datasets.source import Row, Source, provenance, rows

TASKS = (
    "boolean_expressions",
    "causal_judgement",
    "date_understanding",
    "disambiguation_qa",
    "dyck_languages",
    "formal_fallacies",
    "geometric_shapes",
    "hyperbaton",
    "logical_deduction_five_objects",
    "logical_deduction_seven_objects",
    "logical_deduction_three_objects",
    "movie_recommendation",
    "multistep_arithmetic_two",
    "navigate",
    "object_counting",
    "penguins_in_a_table",
    "reasoning_about_colored_objects",
    "ruin_names",
    "salient_translation_error_detection",
    "snarks",
    "sports_understanding",
    "temporal_sequences",
    "tracking_shuffled_objects_five_objects",
    "tracking_shuffled_objects_seven_objects",
    "tracking_shuffled_objects_three_objects",
    "web_of_lies",
    "word_sorting",
)

ASK = "Please reason step by step, and put your final answer within \\boxed{}."

# Where the question does not show in which form it wants its answer.
FORMS = {
    "dyck_languages": "Give only the brackets that are missing.",
    "sports_understanding": 'Answer "yes" or "no".',
    "web_of_lies": 'Answer "Yes" or "No".',
    "word_sorting": "Give the words in order, separated by spaces.",
}

# "(A) ..." on a line of its own, and an answer of that kind.
OPTION = re.compile(r"^\([A-Z]\)", re.MULTILINE)
LETTERED = re.compile(r"\([A-Z]\)")

# Of the harness's tasks bbh_cot_fewshot_*, version 4.0.
FOUND = re.compile(r"(?<=the answer is )(.*)(?=.)")
PLACE = "{{input}}"
STOPS, MAX_GEN_TOKS, SHOTS = ("</s>", "Q", "\n\n"), 1024, 3


class Answer(Grader):
    """A letter where the task offers lettered options, and text elsewhere."""

    def read(self, visible: str, problem: Problem, *, firm: bool = False) -> str | None:
        return self._kind(problem).read(visible, problem, firm=firm)

    def equal(self, answer: str, problem: Problem) -> bool:
        return self._kind(problem).equal(answer, problem)

    def _kind(self, problem: Problem) -> Grader:
        return Choice() if LETTERED.fullmatch(problem.reference) else Exact()


@dataclass(frozen=True)
class Bbh(DatasetDomain):
    """The tasks that language models of 2022 found hardest.

    ``task``: the name of a task, a list of names, or ``all``. Under ``lm_eval`` several take turns,
    so a limit asks as many of each.
    """

    name: ClassVar[str] = "bbh"
    source: ClassVar[Source] = Source("SaylorTwift/bbh", "test")
    needed: ClassVar[tuple[str, ...]] = ("input", "target")
    about: ClassVar[str] = "6,511 problems, mostly 250 of a task (arXiv:2210.09261)."

    task: Any = "all"

    def __post_init__(self) -> None:
        if self.task == "all":
            return
        names = tuple(self.task) if isinstance(self.task, (list, tuple)) else (self.task,)
        problems = [
            f"task: there is no task {name!r}.{did_you_mean(str(name), TASKS)}"
            for name in names
            if name not in TASKS
        ]
        if not problems and len(set(names)) < max(len(names), 1):
            problems.append("task: name at least one, and none twice")
        if problems:
            raise RecipeError(problems)
        object.__setattr__(self, "task", names)  # a tuple can be hashed

    @property
    def tasks(self) -> tuple[str, ...]:
        return TASKS if self.task == "all" else self.task

    @property
    def judge(self) -> Grader:
        return Answer()

    @property
    def origin(self) -> str:
        if len(self.tasks) == 1:
            return str(provenance(self.place_of(self.tasks[0])))
        read = [provenance(self.place_of(task)) for task in self.tasks]
        digests = [one.sha256 for one in read if one.sha256]
        whole = len(digests) == len(read)
        digest = hashlib.sha256("".join(digests).encode()).hexdigest() if whole else None
        config = f"{len(read)} tasks"
        return str(replace(read[0], source=replace(read[0].source, config=config), sha256=digest))

    @property
    def statement(self) -> str:
        if self.protocol == "reasoning":
            return (
                f"{self.origin}. Asked as one message for the final answer within \\boxed{{}}; "
                "graded by the last box, or what is last said to be the answer: the letter where "
                "there are options, else the text without case, quotes and spacing."
            )
        return (
            f"{self.origin}. As lm-evaluation-harness's bbh_cot_fewshot: {SHOTS} worked examples "
            f"of its own for each task, ends at </s>, Q, an empty line or {MAX_GEN_TOKS} tokens, "
            "exact match of what follows 'the answer is'."
        )

    def place_of(self, task: str) -> Source:
        return replace(self.place(), config=task)

    def rows(self) -> Sequence[Row]:
        """Those of every task, each with the task and its place in it."""
        if self.path and len(self.tasks) > 1 and not Path(self.path).is_dir():
            raise RecipeError(
                ["path: must be a folder with a file for each task, or name one task"]
            )
        groups = [
            [{**row, "task": task, "place": place} for place, row in enumerate(found)]
            for task in self.tasks
            for found in [rows(self.place_of(task), self.needed)]
        ]
        return in_turns(groups)

    def problem(self, row: Row, index: int) -> Problem:
        text, task = str(row["input"]), row["task"]
        made = Problem(
            id=f"{self.name}-{task}-{row['place']}",
            domain=self.name,
            prompt="\n\n".join(filter(None, (text.strip(), FORMS.get(task), ASK))),
            reference=str(row["target"]),
            payload=tuple(OPTION.findall(text)) or None,
        )
        if self.protocol == "reasoning":
            return made
        before, after = _around(task)
        return replace(
            made, prompt=before + text + after, chat=False, stop=STOPS, max_tokens=MAX_GEN_TOKS
        )

    def harness(self, problem: Problem, text: str) -> tuple[bool, str | None]:
        found = first(FOUND, text)
        return exactly(found, problem.reference), found


@lru_cache(maxsize=len(TASKS))
def _around(task: str) -> tuple[str, str]:
    """What the harness writes before and after a task's question."""
    settings = task_settings(f"bbh/cot_fewshot/{task}")
    before, after = settings["doc_to_text"].split(PLACE)
    shown = settings["fewshot_config"]["samples"][:SHOTS]
    examples = "".join(f"{before}{s['input']}{after}{s['target']}\n\n" for s in shown)
    return settings["description"] + examples + before, after
