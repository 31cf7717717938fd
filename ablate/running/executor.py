"""Where trials run: on this machine one after the other, or wherever an executor takes them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from ablate.planning import Plan, TrialPlan
from ablate.running.progress import Display
from ablate.store import USAGE, RunDir, TrialDir
from ablate.workload import build_load

RunTrials = Callable[[RunDir, Display], None]
"""Runs trials into a run directory, to the end of the last one, and shows how they go."""


@dataclass(frozen=True)
class Executor(ABC):
    """An executor as a recipe configures it: fields are its options.

    It decides where trials run and nothing that is measured, so a run may be resumed on another.
    """

    @abstractmethod
    def open(
        self, plan: Plan, todo: Sequence[TrialPlan], warn: Callable[[str], None]
    ) -> AbstractContextManager[RunTrials]:
        """Get ready for ``todo``, trials of ``plan``; what it gives runs all of them.

        Every trial that was run leaves its result in the directory, however it ended. At the end,
        also of an interrupted run, nothing of it is left running. Raises AblateError, before
        anything is written, for what the user has to put right; ``warn`` tells of what is doubtful.
        """


def begin(directory: RunDir, trial: TrialPlan) -> tuple[TrialDir, int]:
    """The trial's files without what an earlier try left in them, and the requests it lacks.

    The finished requests stay: they are not run again, graded or not.
    """
    files = directory.trial(trial.arm.info.id, trial.block)
    for stale in ("result.json", USAGE):
        (files.path / stale).unlink(missing_ok=True)
    served = len(files.records()) + len(files.ungraded())
    return files, len(build_load(trial.arm, trial.block).requests) - served
