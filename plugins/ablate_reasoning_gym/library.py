"""reasoning-gym itself: which of its tasks can be asked, and what their scorers accept."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass, field, fields
from types import ModuleType
from typing import Any

from ablate.errors import RecipeError, did_you_mean
from ablate.options import build, shorten
from ablate_reasoning_gym.guards import harmless

Entry = dict[str, Any]

# The library's own default. A few tasks plan a whole data set ahead, so that their items depend on
# its size; it must not change with `limit`.
SIZE = 500

# Where tasks that accept several answers, and so have no single one, keep an example.
EXAMPLES = ("example_answer", "possible_answer", "example_correct_answer")

# Fields of every configuration that are not the user's to set.
OURS = {"seed": "seed", "size": "limit"}

UNANSWERED = "its items come without an answer, so that nothing shows its scorer to work"
REFUSED = {
    "boxnet": UNANSWERED,
    "game_of_life_halting": "its scorer accepts any text",
    "intermediate_integration": "its scorer can take minutes over one wrong answer",
    "puzzle24": "its scorer accepts solutions of other puzzles",
    "rush_hour": UNANSWERED,
}


@dataclass(frozen=True)
class Part:
    """One task of a ``composite``: how often it comes, relative to the others, and its options."""

    name: str
    weight: float = 1.0
    config: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Task:
    """A data set of the library with its scorer."""

    dataset: Any

    def item(self, index: int) -> Entry:
        """An item of the data set; whatever a task's generator raises comes through."""
        entry: Entry = self.dataset[index]
        return entry

    def accepts(self, answer: str, entry: Entry) -> bool:
        """Whether the scorer gives an answer the full score; if it raises, it does not."""
        if not harmless(answer, str(entry["metadata"]["source_dataset"])):
            return False
        try:
            # Some scorers print, and some parse an answer as code and warn of its style.
            with redirect_stdout(None), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return bool(self.dataset.score_answer(answer=answer, entry=entry) == 1.0)
        except Exception:  # what does not parse raises anything
            return False


def load(task: str, options: Mapping[str, Any], seed: int) -> Task:
    """The data set of a task. Raises RecipeError if the library, the task or an option is wrong."""
    factory = _imported()
    problems = _problems(factory.DATASETS, task, options, "options")
    if problems:
        raise RecipeError(problems)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)  # one task leaves its file open
            made = factory.create_dataset(task, **_converted(task, options), seed=seed, size=SIZE)
    except Exception as error:  # a configuration checks itself with assert, if at all
        raise RecipeError([f"options: {task} refuses {shorten(options)}: {said(error)}"]) from None
    return Task(made)


def reference(entry: Entry) -> str | None:
    """The answer that the task gives, or an example of one; None where it gives none."""
    answers = (entry["answer"], *(entry["metadata"].get(key) for key in EXAMPLES))
    answer = next((a for a in answers if a is not None), None)
    return answer if answer is None or isinstance(answer, str) else json.dumps(answer)


def said(error: Exception) -> str:
    """An exception as the end of a sentence: its first line, and its type where that explains."""
    line = str(error).strip().split("\n", 1)[0]
    plain = isinstance(error, (AssertionError, ValueError)) and line
    return line if plain else f"{type(error).__name__}: {line}".removesuffix(": ")


def _imported() -> ModuleType:
    try:
        from reasoning_gym import factory
    except ImportError as error:
        raise RecipeError(
            [
                f"the library reasoning-gym cannot be imported ({error}); install it with "
                'pip install "ablate-inference[reasoning-gym]"'
            ]
        ) from None
    module: ModuleType = factory
    return module


def _problems(
    known: Mapping[str, Any], task: str, options: Mapping[str, Any], where: str
) -> list[str]:
    if task not in known:
        return [f"there is no task {task!r}.{did_you_mean(task, known)}"]
    if task in REFUSED:
        return [f"task {task!r} cannot be asked: {REFUSED[task]}"]
    taken = {f.name for f in fields(known[task][1])} - set(OURS)
    problems = [
        f"{where}.{key}: this is set by the domain's own {OURS[key]!r}"
        if key in OURS
        else f"{where}.{key}: task {task!r} has no such option.{did_you_mean(str(key), taken)}"
        for key in options
        if key not in taken
    ]
    if task == "composite" and not problems:
        problems += _part_problems(known, options.get("datasets"), f"{where}.datasets")
    return problems


def _part_problems(known: Mapping[str, Any], value: object, where: str) -> list[str]:
    if not isinstance(value, list) or not value:
        return [f"{where}: must be a list of tasks, got {shorten(value)}"]
    problems = []
    for place, options in enumerate(value):
        here = f"{where}[{place}]"
        part, wrong = build(Part, options, here)
        problems += wrong
        if part and part.name == "composite":
            problems.append(f"{here}: a composite cannot be part of another")
        elif part:
            found = _problems(known, part.name, part.config, f"{here}.config")
            problems += [p if p.startswith(here) else f"{here}: {p}" for p in found]
    return problems


def _converted(task: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """The options as the task's configuration takes them."""
    if task != "composite":
        return dict(options)
    from reasoning_gym.composite import DatasetSpec

    parts = [Part(**part) for part in options["datasets"]]
    return {"datasets": [DatasetSpec(p.name, p.weight, p.config) for p in parts]}
