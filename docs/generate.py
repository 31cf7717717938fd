"""Writes the pages of docs/reference that are printed from code: ``python docs/generate.py``."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path

from ablate import hookspecs
from ablate.hookspecs import COMPONENT_HOOKS, HOOKS
from ablate.report.reference import reference as metrics
from ablate.schema import reference as recipe

FOLDER = Path(__file__).parent / "reference"


def hooks() -> str:
    """The hook reference: the module's docstring, then a heading for every hook."""
    intro = inspect.getdoc(hookspecs) or ""
    pages = "\n".join(_hook(name) for name in HOOKS)
    source = "Printed from `ablate/hookspecs.py` by `docs/generate.py`."
    return f"# Hooks\n\n{source}\n\n{intro}\n\n{pages}"


def _hook(name: str) -> str:
    function = getattr(hookspecs, name)
    kind = "Component hook. " if name in COMPONENT_HOOKS else ""
    signature = str(inspect.signature(function)).replace("'", "")  # annotations are strings here
    return f"## {name}\n\n```python\n{name}{signature}\n```\n\n{kind}{inspect.getdoc(function)}\n"


PAGES: dict[str, Callable[[], str]] = {
    "hooks.md": hooks,
    "metrics.md": metrics,
    "recipe.md": recipe,
}


def main() -> None:
    for name, page in PAGES.items():
        (FOLDER / name).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
