"""``python -m ablate_reasoning_gym.draw FOLDER``: draw the items that a folder's request wants."""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

from ablate.lifeline import exit_with_parent
from ablate_reasoning_gym.drawn import FILE, Drawn, Item, Wanted, keep
from ablate_reasoning_gym.library import SIZE, Entry, Task, load, reference, said
from ablate_reasoning_gym.packed import pack

# What "all problems" means for a task without end.
WHOLE_SET = 1024

# After so many draws without a new problem a task is taken to have no more.
PATIENCE = 256

# Seconds for one item. Options that a configuration lets pass can make a generator loop for ever.
LONGEST = 60

NONSENSE = "no answer"


def draw(wanted: Wanted, seconds: int = 0) -> Drawn:
    """The first items that can be asked and judged, no question twice.

    ``seconds``: what one item may take before this process gets SIGALRM; 0: as long as it takes.
    """
    limit = WHOLE_SET if wanted.limit is None else wanted.limit
    items: dict[int, Item] = {}
    asked: set[str] = set()
    refusal = None
    misses = 0
    for index, task, place in _places(wanted):
        if len(items) >= limit or misses >= PATIENCE:
            break
        misses += 1
        signal.alarm(seconds)
        try:
            item = _item(task, place, wanted.seed + index)
        except Exception as error:  # a generator can fail in any way, and the next item be fine
            refusal = said(error)
            continue
        if item.question not in asked:
            asked.add(item.question)
            items[index] = item
            misses = 0
    signal.alarm(0)
    return Drawn(items, refusal)


def _places(wanted: Wanted) -> Iterator[tuple[int, Task, int]]:
    """Index, data set and place in it: data sets follow each other without a gap in their seeds."""
    index = 0
    while True:
        task = load(wanted.task, wanted.options, wanted.seed + index)
        for place in range(SIZE):
            yield index, task, place
            index += 1


def _item(task: Task, place: int, seed: int) -> Item:
    """One item. Raises ValueError if an answer to it could not be judged, TypeError if not kept."""
    import numpy as np

    # Some tasks draw from these, too, and do not seed them.
    random.seed(seed)
    np.random.seed(seed % 2**32)
    entry = task.item(place)
    answer = reference(entry)
    if answer is None or not answer.strip() or _says_nothing(entry):
        raise ValueError("an item has no question or no answer")
    if not task.accepts(answer.strip(), entry):
        raise ValueError(f"the scorer does not accept the item's own answer {answer!r}")
    if task.accepts(NONSENSE, entry):
        raise ValueError(f"the scorer accepts {NONSENSE!r} as an answer")
    pack(entry)  # raises where it holds what could not be kept
    return Item(str(entry["question"]).rstrip(), answer, entry)


def _says_nothing(entry: Entry) -> bool:
    """Whether nothing is asked; ``base_conversion`` writes the number 0 without a digit."""
    return not str(entry["question"]).strip() or entry["metadata"].get("source_repr") == ""


def _give_up(*_: object) -> None:
    """End at once: the library catches whatever a handler could raise."""
    print(f"one item took more than {LONGEST} s to make", file=sys.stderr, flush=True)
    os._exit(1)


def main() -> None:
    exit_with_parent()
    warnings.simplefilter("ignore")
    signal.signal(signal.SIGALRM, _give_up)
    folder = Path(sys.argv[1])
    request = folder / "request.json"
    wanted = Wanted(**json.loads(request.read_text(encoding="utf-8")))
    keep(draw(wanted, LONGEST), folder / FILE)
    request.unlink()


if __name__ == "__main__":
    main()
