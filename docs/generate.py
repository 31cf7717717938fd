"""Writes the pages of docs/reference that are printed from code: ``python docs/generate.py``."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

from ablate import hookspecs
from ablate.domains import BUILT_IN
from ablate.domains.base import Domain
from ablate.hookspecs import COMPONENT_HOOKS, HOOKS, HOOKSPEC_VERSION
from ablate.plugins import installed
from ablate.report.parquet import reference as parquet
from ablate.report.reference import reference as metrics
from ablate.scaffold import render
from ablate.schema import reference as recipe
from ablate.show.plugins import support_matrix

EXAMPLES_DIFFICULTY = 3
FOLDER = Path(__file__).parent / "reference"


def hooks() -> str:
    """The hook reference: the module's docstring, then a heading for every hook."""
    intro = inspect.getdoc(hookspecs) or ""
    pages = "\n".join(_hook(name) for name in HOOKS)
    source = (
        "Printed from `ablate/hookspecs.py` by `docs/generate.py`. These are hook specifications "
        f"{HOOKSPEC_VERSION};\n[what may change when](../explanation/stability.md)."
    )
    return f"# Hooks\n\n{source}\n\n{intro}\n\n{pages}"


def _hook(name: str) -> str:
    function = getattr(hookspecs, name)
    kind = "Component hook. " if name in COMPONENT_HOOKS else ""
    signature = str(inspect.signature(function)).replace("'", "")  # annotations are strings here
    return f"## {name}\n\n```python\n{name}{signature}\n```\n\n{kind}{inspect.getdoc(function)}\n"


def domains() -> str:
    """Each built-in domain: what it asks, its options, and a worked test problem."""
    intro = (
        "Printed from `ablate/domains` by `docs/generate.py`.\n\n"
        "Every domain has `limit` (how many problems are asked; null: all) and `seed` (which).\n"
        "A hash of the prompt puts one problem in eight into the test split; the shipped models\n"
        "have learned from the others only. The worked solutions are what `tiny-reasoner` was\n"
        "taught to write."
    )
    return "\n".join([f"# Domains\n\n{intro}\n", *(_domain(domain) for domain in BUILT_IN)])


def _domain(domain: type[Domain]) -> str:
    about = inspect.getdoc(sys.modules[domain.__module__])
    options = [f"`{f.name}` ({f.default})" for f in fields(domain)]
    easy = [p for p in domain(limit=80).problems() if p.difficulty == EXAMPLES_DIFFICULTY]
    some = list({problem.prompt.split()[0]: problem for problem in easy}.values())[:2]
    worked = "\n\n".join(f"```text\n{p.prompt}\n\n{p.solution}\n```" for p in some)
    name = some[0].domain
    return (
        f"## {name}\n\n{about}\n\n{inspect.getdoc(domain)}\n\n"
        f"Options (default): {', '.join(options)}\n\n{worked}\n"
    )


def engines() -> str:
    """The support matrix: every built-in optimization against every engine."""
    heads, rows = support_matrix(installed())
    intro = (
        "Printed from the plugins' hooks by `docs/generate.py`; `ablate plugins` prints it for\n"
        "all that you have installed. An optimization supports an engine if it implements a hook\n"
        "that the engine calls; one that asks for engine arguments must be given some."
    )
    lines = [heads, ["---"] * len(heads), *([f"`{name}`", *marks] for name, *marks in rows)]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return f"# Engines\n\n{intro}\n\n{table}\n"


PAGES: dict[str, Callable[[], str]] = {
    "domains.md": domains,
    "engines.md": engines,
    "hooks.md": hooks,
    "metrics.md": metrics,
    "recipe.md": recipe,
    "results-parquet.md": parquet,
}


SCAFFOLD = re.compile(r"<!-- scaffold: (\w+) (\w+) (\S+) -->\n```(\w+)\n.*?```", re.DOTALL)
HOW_TO = Path(__file__).parent / "how-to"


def with_scaffold(page: str) -> str:
    """A page with each code block under a ``<!-- scaffold: KIND NAME PATH -->`` written anew.

    The block is what ``ablate plugins new NAME --kind KIND`` writes to PATH.
    """

    def block(found: re.Match[str]) -> str:
        kind, name, path, language = found.groups()
        code = render(name, kind)[path]
        return f"<!-- scaffold: {kind} {name} {path} -->\n```{language}\n{code}```"

    return SCAFFOLD.sub(block, page)


def main() -> None:
    for name, page in PAGES.items():
        (FOLDER / name).write_text(page(), encoding="utf-8")
    for file in HOW_TO.glob("*.md"):
        file.write_text(with_scaffold(file.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
