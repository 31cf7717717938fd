"""What stands behind ``ablate.run``, ``ablate.plan`` and ``ablate.load``."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ablate.planning import Plan, plan_read
from ablate.recipe import read_tree
from ablate.yamlfile import Tree, assign, read_yaml

if TYPE_CHECKING:
    from ablate import RecipeLike
    from ablate.api.results import Run

UNNAMED = "run"
"""The name of a recipe that is a mapping and gives none."""


def plan_recipe(recipe: RecipeLike, overrides: Mapping[str, Any]) -> Plan:
    """The plan of a recipe with some of its keys set anew. Raises RecipeError."""
    tree, name, base = _written(recipe)
    refused = [
        f"override {key!r}: {problem}"
        for key, value in overrides.items()
        if (problem := assign(tree, key, _plain(value)))
    ]
    made, problems = read_tree(tree, name, base)
    return plan_read(made, [*refused, *problems])


def run_recipe(
    recipe: RecipeLike,
    overrides: Mapping[str, Any],
    output_dir: str | PathLike[str] | None,
    resume: bool,
) -> Run:
    """Run what is to be run, write the report, and warn of failed trials."""
    plan = plan_recipe(recipe, overrides)
    # Imported here, as on the command line: planning and its errors come at once.
    from ablate.api.results import Run
    from ablate.report import write_report
    from ablate.report.lists import failure_lines
    from ablate.running import run_plan

    try:
        run_dir = run_plan(plan, Path(output_dir) if output_dir else None, resume)
    except KeyboardInterrupt:
        print("ablate: interrupted; the same call with resume=True goes on", file=sys.stderr)
        raise
    run = Run(run_dir.path, write_report(run_dir))
    if run.failures:
        lines = "\n".join(failure_lines(run.results))
        warnings.warn(f"some trials failed:\n{lines}", RuntimeWarning, stacklevel=3)
    return run


def load_run(run_dir: str | PathLike[str]) -> Run:
    """Estimates everything anew from the records, so it does not matter who wrote the report."""
    from ablate.api.results import Run
    from ablate.report.results import build_results
    from ablate.report.source import run_info, run_trials
    from ablate.store import RunDir

    folder = RunDir(Path(run_dir).resolve())
    info = run_info(folder)
    return Run(folder.path, build_results(info, run_trials(folder, info)))


def _written(recipe: RecipeLike) -> tuple[Tree, str, Path]:
    """The recipe's keys, its name if they give none, and the folder that its paths start from."""
    if isinstance(recipe, Mapping):
        return _plain(recipe), UNNAMED, Path()
    path = Path(recipe)
    return read_yaml(path), path.stem, path.parent


def _plain(value: Any) -> Any:
    """What YAML would hold: no tuples, no path objects, no NumPy numbers or arrays."""
    if isinstance(value, Mapping):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if isinstance(value, PathLike):
        return str(Path(value).absolute())  # a relative one starts where the notebook is
    as_python = getattr(value, "tolist", None)
    return as_python() if callable(as_python) else value
