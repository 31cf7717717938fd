"""A run as a notebook sees it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class Run:
    """A run's folder and what is known of it: what ``ablate.run`` and ``ablate.load`` return.

    ``results`` is what ``results.json`` holds (ablate/report/results.schema.json). The data frames
    need pandas (the extra ``notebook``); docs/reference/data-frames.md describes their columns.
    """

    path: Path
    results: Mapping[str, Any] = field(repr=False)

    @property
    def failures(self) -> Sequence[Mapping[str, Any]]:
        """The trials that failed: ``arm``, ``block``, ``kind``, ``message``, ``records``."""
        found: Sequence[Mapping[str, Any]] = self.results["failures"]
        return found

    def table(self) -> pd.DataFrame:
        """The arms' metrics, means over blocks: one row an arm and domain."""
        from ablate.api.frames import table

        return table(self.results)

    def contrasts(self) -> pd.DataFrame:
        """Every effect with its interval, one row each."""
        from ablate.api.frames import contrasts

        return contrasts(self.results)

    def records(self) -> pd.DataFrame:
        """Every request of the trials that ended, one row each, with its text and times."""
        from ablate.api.frames import records
        from ablate.report.source import run_info, run_trials
        from ablate.store import RunDir

        folder = RunDir(self.path)
        info = run_info(folder)
        return records(info, run_trials(folder, info))

    def report(self) -> Path:
        """Write ``report.html`` and what goes with it, anew; returns its path."""
        from ablate.report import write_report
        from ablate.store import RunDir

        write_report(RunDir(self.path))
        return self.path / "report.html"

    def _repr_html_(self) -> str:
        """What a notebook shows: verdicts, every arm at a glance, failures."""
        from ablate.api.summary import summary

        return summary(self.path, self.results)
