"""GSM8K: word problems of grade-school mathematics."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from random import Random
from typing import ClassVar, Literal

from ablate.errors import RecipeError
from ablate.grading.numbers import only_number
from ablate.types import Problem
from ablate_datasets.dataset import DatasetDomain
from ablate_datasets.filters import check_filter, first
from ablate_datasets.maths import MAX_GEN_TOKS, asked, continued
from ablate_datasets.source import Row, Source, rows

ANNOTATION = re.compile(r"<<[^<>]*>>")

# Of the harness's task gsm8k, version 3.
SHOTS, SHOT_SEED = 5, 1234
STOPS = ("Question:", "</s>", "<|im_end|>")
FILTERS = {
    "strict": re.compile(r"#### (\-?[0-9\.\,]+)"),
    "flexible": re.compile(r"(-?[$0-9.,]{2,})|(-?[0-9]+)"),
}
IGNORED = tuple(map(re.compile, (",", r"\$", "(?s).*#### ", r"\.$")))


class Shots:
    """Which rows of the train split the harness shows before each problem.

    It draws for one problem after the other from one generator, so a problem's examples depend on
    its place alone, and on how many rows there are.
    """

    def __init__(self, rows: int) -> None:
        self._rows = range(rows)
        self._rng = Random(SHOT_SEED)
        self._drawn: list[Sequence[int]] = []

    def of(self, index: int) -> Sequence[int]:
        while len(self._drawn) <= index:
            self._drawn.append(self._rng.sample(self._rows, SHOTS))
        return self._drawn[index]


_shots = lru_cache(maxsize=8)(Shots)


@dataclass(frozen=True)
class Gsm8k(DatasetDomain):
    """Grade-school word problems; difficulty is the number of calculations in the solution.

    ``filter``: how ``lm_eval`` finds the answer; ``flexible`` (the last number; the default) or
    ``strict`` (after ``####``). ``train_path``: a local file with rows of the train split, from
    which few-shot examples and training problems come; needed where ``path`` is a file.
    """

    name: ClassVar[str] = "gsm8k"
    grading: ClassVar[str] = "numeric"
    source: ClassVar[Source] = Source("openai/gsm8k", "test", "main")
    needed: ClassVar[tuple[str, ...]] = ("question", "answer")
    about: ClassVar[str] = "1,319 problems (arXiv:2110.14168)."

    filter: Literal["flexible", "strict"] | None = None
    train_path: str | None = None

    def __post_init__(self) -> None:
        check_filter(self.filter, self.protocol)

    @property
    def statement(self) -> str:
        if self.protocol == "reasoning":
            return f"{self.origin}. Chat, the number within \\boxed{{}}, compared exactly."
        return (
            f"{self.origin}. As lm-evaluation-harness's gsm8k: {SHOTS} examples drawn per problem "
            f"(seed {SHOT_SEED}), {MAX_GEN_TOKS} tokens, ends at {', '.join(STOPS)}; "
            f"filter {self.filter or 'flexible'}, exact match."
        )

    def problem(self, row: Row, index: int) -> Problem:
        number = _number(row, index)
        made = Problem(
            id=f"{self.name}-{index}",
            domain=self.name,
            prompt=asked(row["question"]),
            reference=number,
            difficulty=float(len(ANNOTATION.findall(row["answer"]))),
        )
        if self.protocol == "reasoning":
            return made
        prompt = self._examples(index) + _asked(row)
        return continued(made, prompt, STOPS, MAX_GEN_TOKS, row["answer"])

    def training(self, n: int, seed: int) -> Sequence[Problem]:
        if self._has_no_train():
            return ()
        drawn = list(enumerate(_rows(self._train(), self.needed)))
        Random(f"{seed}/training").shuffle(drawn)
        return [_worked(row, index) for index, row in drawn[:n]]

    def harness(self, problem: Problem, text: str) -> tuple[bool, str | None]:
        found = filtered(text, self.filter or "flexible")
        return _bare(found or "[invalid]") == _bare(problem.payload), found

    def _examples(self, index: int) -> str:
        """The worked examples before the problem with that place in the data set."""
        train = _rows(self._train(), self.needed)
        if len(train) < SHOTS:
            raise RecipeError([f"protocol lm_eval needs {SHOTS} examples; there are {len(train)}"])
        chosen = _shots(len(train)).of(index)
        return "".join(f"{_asked(train[i])} {train[i]['answer']}\n\n" for i in chosen)

    def _train(self) -> Source:
        if self._has_no_train():
            problem = (
                "protocol lm_eval shows examples from the train split: give train_path, a file "
                f"with its rows, or let path name a folder with test.* and train.*, not {self.path}"
            )
            raise RecipeError([problem])
        return replace(self.place("train"), path=self.train_path or self.path)

    def _has_no_train(self) -> bool:
        return bool(self.path and not self.train_path and Path(self.path).is_file())


@lru_cache(maxsize=8)
def _rows(source: Source, needed: tuple[str, ...]) -> Sequence[Row]:
    """The train split, read once: every problem's examples come from it."""
    return rows(source, needed)


def filtered(text: str, by: str) -> str | None:
    """What the harness's filter takes from an output: the first match of ``strict``, the last of
    ``flexible``; None if there is none.
    """
    if by == "strict":
        return first(FILTERS[by], text)
    last = deque(FILTERS[by].finditer(text), maxlen=1)
    return last[0][0].strip() if last else None


def _bare(answer: str) -> str:
    """An answer as the harness's exact match compares it."""
    for ignored in IGNORED:
        answer = ignored.sub("", answer)
    return answer.lower()


def _asked(row: Row) -> str:
    return f"Question: {row['question']}\nAnswer:"


def _number(row: Row, index: int) -> str:
    _, hashes, after = row["answer"].rpartition("####")
    number = only_number(after) if hashes else None
    if number is None:
        raise RecipeError([f"gsm8k: row {index + 1} has no number after #### in its answer"])
    return number


def _worked(row: Row, index: int) -> Problem:
    steps = ANNOTATION.sub("", row["answer"].rpartition("####")[0]).strip()
    number = _number(row, index)
    return Problem(
        id=f"gsm8k-train-{index}",
        domain="gsm8k",
        prompt=asked(row["question"]),
        reference=number,
        difficulty=float(len(ANNOTATION.findall(row["answer"]))),
        solution=f"<think>\n{steps}\n</think>\n\n\\boxed{{{number}}}",
    )
