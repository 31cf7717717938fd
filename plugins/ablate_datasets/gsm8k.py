"""GSM8K: word problems of grade-school mathematics."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from random import Random
from typing import ClassVar, Literal

from ablate.errors import RecipeError
from ablate.grading.numbers import only_number
from ablate.types import Problem
from ablate_datasets.maths import ASK, MAX_GEN_TOKS, Maths, kept_rows
from ablate_datasets.source import Row, Source

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
class Gsm8k(Maths):
    """Grade-school word problems; difficulty is the number of calculations in the solution.

    ``filter``: how ``lm_eval`` finds the answer; ``flexible`` (the last number; the default) or
    ``strict`` (after ``####``). ``train_path``: a local file with rows of the train split, from
    which few-shot examples and training problems come, instead of the hub's.
    """

    name: ClassVar[str] = "gsm8k"
    grading: ClassVar[str] = "numeric"
    source: ClassVar[Source] = Source("openai/gsm8k", "test", "main")
    needed: ClassVar[tuple[str, ...]] = ("question", "answer")

    filter: Literal["flexible", "strict"] | None = None
    train_path: str | None = None

    def __post_init__(self) -> None:
        if self.filter and self.protocol != "lm_eval":
            raise RecipeError(["filter is how lm_eval finds an answer; add 'protocol: lm_eval'"])

    @property
    def statement(self) -> str:
        if self.protocol == "reasoning":
            return f"{self.origin}; chat, the number within \\boxed{{}}, compared exactly."
        return (
            f"{self.origin}; as lm-evaluation-harness's gsm8k: {SHOTS} examples drawn per problem "
            f"(seed {SHOT_SEED}), {MAX_GEN_TOKS} tokens, ends at {', '.join(STOPS)}; "
            f"filter {self.filter or 'flexible'}, exact match."
        )

    def problem(self, row: Row, index: int) -> Problem:
        number = _number(row, index)
        made = Problem(
            id=f"{self.name}-{index}",
            domain=self.name,
            prompt=f"{row['question']}\n\n{ASK}",
            reference=number,
            difficulty=float(len(ANNOTATION.findall(row["answer"]))),
        )
        if self.protocol == "reasoning":
            return made
        return replace(
            made,
            prompt=self._examples(index) + _asked(row),
            chat=False,
            stop=STOPS,
            max_tokens=MAX_GEN_TOKS,
            payload=row["answer"],
        )

    def training(self, n: int, seed: int) -> Sequence[Problem]:
        if self.path and not self.train_path:
            return ()
        drawn = list(enumerate(self._train()))
        Random(f"{seed}/training").shuffle(drawn)
        return [_worked(row, index) for index, row in drawn[:n]]

    def harness(self, problem: Problem, text: str) -> tuple[bool, str | None]:
        found = filtered(text, self.filter or "flexible")
        return _bare(found or "[invalid]") == _bare(problem.payload), found

    def _examples(self, index: int) -> str:
        """The worked examples before the problem with that place in the data set."""
        train = self._train()
        if len(train) < SHOTS:
            raise RecipeError([f"protocol lm_eval needs {SHOTS} examples; there are {len(train)}"])
        chosen = _shots(len(train)).of(index)
        return "".join(f"{_asked(train[i])} {train[i]['answer']}\n\n" for i in chosen)

    def _train(self) -> Sequence[Row]:
        if self.path and not self.train_path:
            raise RecipeError(
                ["beside path, protocol lm_eval needs train_path: a file of the train split's rows"]
            )
        source = replace(self.source, split="train", revision=self.revision, path=self.train_path)
        return kept_rows(source, self.needed)


def filtered(text: str, by: str) -> str | None:
    """What the harness's filter takes from an output: the first match of ``strict``, the last of
    ``flexible``; None if there is none.
    """
    found = FILTERS[by].finditer(text)
    chosen = next(found, None) if by == "strict" else next(iter(deque(found, maxlen=1)), None)
    return chosen[chosen.lastindex or 0] if chosen else None


def _bare(answer: str) -> str:
    """An answer as the harness's exact match compares it."""
    for ignored in IGNORED:
        answer = ignored.sub("", answer)
    return answer.lower()


def _asked(row: Row) -> str:
    return f"Question: {row['question']}\nAnswer:"


def _number(row: Row, index: int) -> str:
    number = only_number(row["answer"].rpartition("####")[2])
    if number is None:
        raise RecipeError([f"gsm8k: row {index + 1} has no number after #### in its answer"])
    return number


def _worked(row: Row, index: int) -> Problem:
    steps = ANNOTATION.sub("", row["answer"].rpartition("####")[0]).strip()
    number = _number(row, index)
    return Problem(
        id=f"gsm8k-train-{index}",
        domain="gsm8k",
        prompt=f"{row['question']}\n\n{ASK}",
        reference=number,
        difficulty=float(len(ANNOTATION.findall(row["answer"]))),
        solution=f"<think>\n{steps}\n</think>\n\n\\boxed{{{number}}}",
    )
