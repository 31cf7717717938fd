"""The files of an installed lm-evaluation-harness: its few-shot examples and graders are its own.

Nothing of the harness is imported but the one file that a task keeps its functions in; the package
itself takes seconds.
"""

from __future__ import annotations

import ast
import re
import warnings
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import yaml

from ablate.errors import RecipeError

# 0.4.13 changed the few-shot examples and the graders of minerva_math.
OLDEST = (0, 4, 13)

INSTALL = 'pip install "ablate-inference[lm-eval]"'


@cache
def task_functions(task: str) -> ModuleType:
    """``lm_eval/tasks/<task>/utils.py``. Raises RecipeError if it cannot be had, saying why."""
    spec = spec_from_file_location(
        f"ablate_datasets._{task}", _package() / f"tasks/{task}/utils.py"
    )
    assert spec is not None  # noqa: S101  # it ends in .py
    assert spec.loader is not None  # noqa: S101
    module = module_from_spec(spec)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about its escapes
            spec.loader.exec_module(module)
    except (ImportError, AssertionError, OSError) as error:
        raise RecipeError([_says_why(task, error)]) from None
    return module


def task_settings(file: str) -> dict[str, Any]:
    """``lm_eval/tasks/<file>.yaml``, one without functions in it. Raises RecipeError likewise."""
    try:
        text = (_package() / f"tasks/{file}.yaml").read_text(encoding="utf-8")
    except OSError as error:
        raise RecipeError([_says_why(file, error)]) from None
    return dict(yaml.safe_load(text))


def task_literal(task: str, function: str) -> Any:
    """What a function in ``lm_eval/tasks/<task>/utils.py`` returns, where that is written out.

    Nothing is run: some tasks fetch their metric from the hub when they are imported. Raises
    RecipeError likewise.
    """
    try:
        text = (_package() / f"tasks/{task}/utils.py").read_text(encoding="utf-8")
    except OSError as error:
        raise RecipeError([_says_why(task, error)]) from None
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef) and node.name == function:
            last = node.body[-1]
            if isinstance(last, ast.Return) and last.value is not None:
                return ast.literal_eval(last.value)
    raise RecipeError([f"lm-eval {harness_version()} has no {function} in task {task}: {INSTALL}"])


def harness_version() -> str:
    """The version of the installed harness, empty if there is none."""
    try:
        return version("lm_eval")
    except PackageNotFoundError:
        return ""


def _package() -> Path:
    found = harness_version()
    if not found:
        raise RecipeError([f"protocol lm_eval needs lm-evaluation-harness here: {INSTALL}"])
    if tuple(map(int, re.findall(r"\d+", found)[:3])) < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        raise RecipeError(
            [f"lm-eval {found} asks and grades otherwise than {oldest} and later: {INSTALL}"]
        )
    spec = find_spec("lm_eval")  # finds it, and imports nothing
    assert spec is not None  # noqa: S101  # it has a version
    return Path(str(spec.origin)).parent


def _says_why(task: str, error: Exception) -> str:
    if isinstance(error, OSError):
        return f"lm-eval {harness_version()} has no task {task}: {INSTALL}"
    return (
        f"lm-eval's task {task} needs sympy, math-verify and antlr4-python3-runtime 4.11, and no "
        f"other version of it: {INSTALL}"
    )
