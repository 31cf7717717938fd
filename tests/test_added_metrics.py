"""Metrics of plugins: computed for every report, shown with their unit, and never in the way."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar, Literal

import jsonschema
import pytest

from ablate.errors import AblateError
from ablate.plugins import Installed, Registry
from ablate.report import write_report
from ablate.report.added import added_metrics, measure_with
from ablate.report.results import build_results
from ablate.report.sheets import sheets
from ablate.store import RunDir
from ablate.trial_metric import TrialMetric
from ablate.types import Trial
from tests.test_report import SCHEMA, finished, info, stored


@dataclass(frozen=True)
class Answers(TrialMetric):
    """answers that were read."""

    unit: ClassVar[str] = "answers"
    better: ClassVar[Literal["higher"]] = "higher"
    timed: ClassVar[bool] = False
    per_domain: ClassVar[bool] = True

    def measure(self, trial: Trial) -> float | None:
        return float(len(trial.records))


@dataclass(frozen=True)
class Endless(TrialMetric):
    """a metric that divides by zero."""

    def measure(self, trial: Trial) -> float | None:
        return float("inf")


def with_metric(name: str, cls: type[TrialMetric]) -> Installed:
    registry = Registry()
    registry.add("metric", name, cls)
    return Installed(MappingProxyType({}), registry, ())


def test_values_stand_beside_the_built_in_ones_and_in_a_table_of_their_own() -> None:
    results = build_results(info(), finished(), {"answers": Answers()})
    jsonschema.validate(results, SCHEMA)
    block = results["arms"][0]["blocks"][0]
    assert block["metrics"]["answers"] == block["metrics"]["completed"]
    assert sum(d["answers"] for d in block["domains"].values()) == block["metrics"]["answers"]
    (sheet,) = [s for s in sheets(results) if s.title == "Metrics of plugins"]
    assert sheet.aid == "answers: answers that were read."
    completed = results["arms"][0]["summary"]["completed"]
    assert sheet.rows[0][1][0].lines == (f"{completed:.1f} answers",)


def test_without_such_metrics_there_is_no_table() -> None:
    assert not any(s.title == "Metrics of plugins" for s in sheets(build_results(info(), [])))


def test_what_depends_on_the_clock_is_missing_from_a_resumed_trial() -> None:
    trial = finished()[0]
    resumed = replace(trial, result=replace(trial.result, resumed=True))
    assert measure_with(resumed, {"endless": Endless()}).all["endless"] is None
    assert measure_with(resumed, {"answers": Answers()}).all["answers"] is not None


def test_a_failed_trial_has_none() -> None:
    trial = finished()[0]
    failed = replace(trial, result=replace(trial.result, status="failed"))
    assert measure_with(failed, {"answers": Answers()}).all == {}


def test_one_that_fails_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stored(tmp_path, info(), finished())
    monkeypatch.setattr("ablate.plugins.installed", partial(with_metric, "endless", Endless))
    with pytest.raises(AblateError, match=r"metric 'endless' failed on arm .*: inf is no finite"):
        write_report(RunDir(tmp_path))


def test_a_built_in_name_is_taken() -> None:
    with pytest.raises(AblateError, match="the metric 'accuracy', which ablate has; rename it"):
        added_metrics(with_metric("accuracy", Answers))
