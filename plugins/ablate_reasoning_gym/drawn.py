"""The items that are asked, drawn once and kept on disk: some tasks take seconds for one."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ablate.artifacts import Artifact, ensure, package_versions
from ablate.child import run_module
from ablate.errors import RecipeError, TrialError
from ablate_reasoning_gym.library import Entry
from ablate_reasoning_gym.packed import pack, unpack

RECIPE = 2  # raised when draw.py chooses other items or writes them in another form
FILE = "items.json"


@dataclass(frozen=True)
class Wanted:
    """Which items: a task with its options, the first seed of the library, and how many."""

    task: str
    options: Mapping[str, Any]
    seed: int
    limit: int | None


@dataclass(frozen=True)
class Item:
    """One item of a task: what is asked, an answer that is right, and what the scorer needs."""

    question: str
    reference: str
    entry: Entry


@dataclass(frozen=True)
class Drawn:
    """Items by their index, in the order they are asked.

    ``refusal`` is why the last item that could not be used was left out, None if none was.
    """

    items: Mapping[int, Item]
    refusal: str | None = None


def drawn(wanted: Wanted) -> Drawn:
    """The items that are asked. Raises RecipeError if the task has fewer than are wanted."""
    inputs = {
        "recipe": RECIPE,
        **asdict(wanted),
        "versions": package_versions("reasoning-gym"),
        "python": sys.version_info[:2],
    }
    try:
        folder = ensure(Artifact("reasoning-gym", inputs), lambda folder: _draw(wanted, folder))
    except TrialError as error:
        raise RecipeError([str(error)]) from None
    found = _read(folder / FILE)
    problem = _shortage(wanted, found)
    if problem:
        raise RecipeError([problem])
    return found


def keep(found: Drawn, path: Path) -> None:
    """Write what was drawn as JSON."""
    items = [
        [index, item.question, item.reference, item.entry] for index, item in found.items.items()
    ]
    path.write_text(json.dumps(pack([found.refusal, items])), encoding="utf-8")


def _read(path: Path) -> Drawn:
    refusal, items = unpack(json.loads(path.read_text(encoding="utf-8")))
    return Drawn({index: Item(*item) for index, *item in items}, refusal)


def _draw(wanted: Wanted, folder: Path) -> None:
    """Draw in a process of its own, whose hash seed is known.

    Some tasks put strings into sets, and ask other questions where these are in another order.
    """
    request = folder / "request.json"
    request.write_text(json.dumps(asdict(wanted)), encoding="utf-8")
    what = f"drawing problems of reasoning-gym's {wanted.task}"
    run_module("ablate_reasoning_gym.draw", str(folder), what, {"PYTHONHASHSEED": "0"})


def _shortage(wanted: Wanted, found: Drawn) -> str | None:
    why = f" One was left out: {found.refusal}." if found.refusal else ""
    if not found.items:
        return f"task {wanted.task!r} has no problem to ask with these options.{why}"
    if wanted.limit is None or len(found.items) >= wanted.limit:
        return None
    return (
        f"limit is {wanted.limit}, but task {wanted.task!r} has only {len(found.items)} different "
        f"problems with these options, as far as drawing can tell.{why}"
    )
