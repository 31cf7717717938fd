"""ablate: which inference optimizations to switch on, measured domain by domain.

``run``, ``plan`` and ``load`` are the Python API. Importing ``ablate`` loads nothing else of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from ablate.api.results import Run
    from ablate.planning import Plan

__all__ = ["Run", "load", "plan", "run"]
__version__ = "0.1.0"

RecipeLike: TypeAlias = str | PathLike[str] | Mapping[str, Any]


def run(
    recipe: RecipeLike,
    *,
    output_dir: str | PathLike[str] | None = None,
    resume: bool = False,
    overrides: Mapping[str, Any] | None = None,
    **keys: Any,
) -> Run:
    """Measure every arm of a recipe, as ``ablate run`` does, and write the report.

    ``recipe``: a YAML file, or the recipe itself as a mapping. ``overrides`` and ``keys`` set keys
    of it, dotted ones too; a value replaces what the key had, as on the command line.
    ``output_dir``: the run's folder, ``runs/NAME-TIME`` if not given. ``resume``: run what is
    missing of it, or of the newest run of this recipe.

    Raises RecipeError with everything that is wrong with the recipe. A trial that fails raises
    nothing: it is in ``Run.failures``, and a warning tells of it. An interrupted run is resumed by
    the same call with ``resume=True``.
    """
    from ablate.api import run_recipe

    return run_recipe(recipe, {**(overrides or {}), **keys}, output_dir, resume)


def plan(recipe: RecipeLike, *, overrides: Mapping[str, Any] | None = None, **keys: Any) -> Plan:
    """Check a recipe, as ``ablate plan`` does: its arms and trials, nothing loaded.

    The arguments are those of ``run``. Raises RecipeError with every problem found.
    """
    from ablate.api import plan_recipe

    return plan_recipe(recipe, {**(overrides or {}), **keys})


def load(run_dir: str | PathLike[str]) -> Run:
    """The results of a run's folder, finished or not. Raises AblateError if it holds no run."""
    from ablate.api import load_run

    return load_run(run_dir)


def __getattr__(name: str) -> Any:
    if name == "Run":
        from ablate.api.results import Run

        return Run
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
