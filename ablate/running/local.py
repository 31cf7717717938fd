"""The executor that a recipe has unless it names another: this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from ablate.planning import Plan, TrialPlan
from ablate.plugins import Registry, hookimpl
from ablate.running.executor import Executor, RunTrials, begin
from ablate.running.isolation import Isolation
from ablate.running.progress import Display
from ablate.store import RunDir


@dataclass(frozen=True)
class LocalExecutor(Executor):
    """Runs trials on this machine, one at a time: two would disturb each other."""

    @contextmanager
    def open(
        self, plan: Plan, todo: Sequence[TrialPlan], warn: Callable[[str], None]
    ) -> Iterator[RunTrials]:
        def run(directory: RunDir, shown: Display) -> None:
            isolation = Isolation(plan, directory)
            for trial in todo:
                _, requests = begin(directory, trial)
                shown.started(trial.arm.info.id, trial.block, requests)
                shown.ended(isolation.run(trial, trial.arm.recipe.timeout, shown.progressed))

        yield run


@hookimpl
def ablate_register(registry: Registry) -> None:
    registry.add("executor", "local", LocalExecutor)
