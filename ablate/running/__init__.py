"""Running a plan: a run directory, and each trial that is not in it yet."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path

from rich.console import Console

from ablate import __version__
from ablate.errors import AblateError
from ablate.planning import Plan
from ablate.recipe import resolved_yaml
from ablate.running.environment import environment
from ablate.running.progress import display
from ablate.store import RunDir, write_atomically
from ablate.types import RunInfo
from ablate.workload import build_load

RUNS = Path("runs")


def run_plan(
    plan: Plan,
    output_dir: Path | None = None,
    resume: bool = False,
    console: Console | None = None,
) -> RunDir:
    """Run every trial of ``plan`` that has not ended well yet; returns where the results are.

    ``resume`` goes on with ``output_dir``, or with the newest run of the same recipe. Finished
    requests are never run again. Raises AblateError if the folder holds another recipe's run.
    """
    console = console or Console(stderr=True)
    say = partial(console.print, markup=False, highlight=False, soft_wrap=True)
    recipe = resolved_yaml(plan.recipe)
    directory = RunDir(_resumed(recipe, output_dir) if resume else _free(plan, output_dir))
    todo = [t for t in plan.trials if not _is_done(directory, t.arm.info.id, t.block)]
    announcement = f"{len(todo)} trials into {directory.path}"
    if not todo:  # nothing to load torch for
        say(announcement)
        return directory
    with plan.executor.open(plan, todo, say) as run_trials:
        if not resume:
            _make(directory.path)
            write_atomically(directory.path / "recipe.yaml", recipe)
            directory.write_info(_info(plan))
        say(announcement)
        with display(console, len(todo)) as shown:
            run_trials(directory, shown)
    return directory


def _is_done(directory: RunDir, arm: str, block: int) -> bool:
    result = directory.trial(arm, block).result()
    return result is not None and result.status == "ok"


def _free(plan: Plan, output_dir: Path | None) -> Path:
    """A path that is no folder yet, or an empty one."""
    path = output_dir or _new_name(plan.recipe.name)
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise AblateError(f"{path} exists and is not empty; choose another, or add --resume")
    return path.resolve()


def _make(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise AblateError(f"cannot make the run directory: {error}") from error


def _new_name(name: str) -> Path:
    stamp = time.strftime("%Y%m%d-%H%M%S")
    return RUNS / f"{name}-{stamp}"


def _resumed(recipe: str, output_dir: Path | None) -> Path:
    candidates = [output_dir] if output_dir else sorted(RUNS.glob("*"), key=_age)
    for path in candidates:
        kept = path / "recipe.yaml"
        if kept.exists() and kept.read_text(encoding="utf-8") == recipe:
            return path.resolve()
    if output_dir is None:
        raise AblateError(f"no run of this recipe to resume in {RUNS}/; name it with --output-dir")
    if not (output_dir / "recipe.yaml").exists():
        raise AblateError(f"{output_dir} holds no run to resume")
    raise AblateError(f"{output_dir} holds a run of another recipe; resume with the same one")


def _age(path: Path) -> float:
    return -path.stat().st_mtime


def _info(plan: Plan) -> RunInfo:
    recipe = plan.recipe
    return RunInfo(
        name=recipe.name,
        created=time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        ablate_version=__version__,
        model=recipe.model.id,
        engine=recipe.engine[0],
        domains=tuple(recipe.domains),
        arms=tuple(arm.info for arm in plan.arms),
        blocks=recipe.blocks,
        requests_per_trial=len(build_load(plan.arms[0], 0).requests),
        margins=recipe.margins,
        slo=recipe.slo,
        price=recipe.price,
        statements=_statements(plan),
        environment={**environment(), "executor": recipe.executor[0]},
    )


def _statements(plan: Plan) -> dict[str, str]:
    """How the domains ask, by domain; levels that change it have their settings in the report."""
    domains = plan.arms[0].domains
    return {name: domain.statement for name, domain in domains.items() if domain.statement}
