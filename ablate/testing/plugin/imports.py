"""What a plugin's module imports at its top, each time a recipe is planned."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

from ablate.testing.findings import Finding, judged

HEAVY = ("torch", "transformers", "vllm")


def examine(cls: type) -> Iterator[Finding]:
    """Of the module that defines ``cls``; what only type checkers read does not count."""
    file = getattr(sys.modules.get(cls.__module__), "__file__", None)
    if file is None:
        return
    problems = [
        f"{cls.__module__} should not import {name} at its top, because planning loads every "
        "plugin; import it inside the hook that uses it, or under `if TYPE_CHECKING:`"
        for name in dict.fromkeys(_imported(ast.parse(Path(file).read_text(encoding="utf-8"))))
        if name in HEAVY
    ]
    yield from judged("imports", problems, "nothing heavy at the top of its module")


def _imported(module: ast.Module) -> Iterator[str]:
    """First parts of the names that are imported outside of functions and conditions."""
    for statement in module.body:
        if isinstance(statement, ast.Import):
            yield from (alias.name.split(".")[0] for alias in statement.names)
        elif isinstance(statement, ast.ImportFrom) and statement.module and not statement.level:
            yield statement.module.split(".")[0]
