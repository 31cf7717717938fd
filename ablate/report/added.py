"""Metrics that plugins add: computed beside the built-in ones and shown in a table of their own."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import replace
from math import isfinite
from types import MappingProxyType
from typing import Any

from ablate.errors import AblateError
from ablate.metrics import NAMES, Measured, Values, measure
from ablate.plugins import Installed
from ablate.report.words import digits
from ablate.trial_metric import TrialMetric
from ablate.types import Trial

Added = Mapping[str, TrialMetric]
NONE: Added = MappingProxyType({})


def added_metrics(installed: Installed) -> dict[str, TrialMetric]:
    """Every registered metric. Raises AblateError for one with a built-in one's name."""
    registry = installed.registry
    for name in registry.all("metric"):
        if name in NAMES:
            origin = registry.origin("metric", name)
            raise AblateError(
                f"{origin} registers the metric {name!r}, which ablate has; rename it"
            )
    return {name: cls() for name, cls in registry.all("metric").items()}


def measure_with(trial: Trial, added: Added, price: float | None = None) -> Measured:
    """Every metric of one trial, the built-in ones first; a failed trial has none."""
    found = measure(trial, price)
    if trial.result.status == "failed" or not added:
        return found
    return Measured(
        {**found.all, **_measured(trial, added)},
        {
            domain: {**values, **_measured(_within(trial, domain), _per_domain(added))}
            for domain, values in found.domains.items()
        },
    )


def _within(trial: Trial, domain: str) -> Trial:
    return replace(trial, records=tuple(r for r in trial.records if r.domain == domain))


def _per_domain(added: Added) -> dict[str, TrialMetric]:
    return {name: metric for name, metric in added.items() if metric.per_domain}


def _measured(trial: Trial, added: Added) -> Values:
    return {
        name: None if metric.timed and trial.result.resumed else _value(name, metric, trial)
        for name, metric in added.items()
    }


def _value(name: str, metric: TrialMetric, trial: Trial) -> float | None:
    try:
        value = metric.measure(trial)
        if value is not None and not isfinite(value):
            raise ValueError(f"{value} is no finite number; None says that there is none")
    except Exception as error:  # a third party's formula can fail in any way
        where = f"arm {trial.result.arm}, block {trial.result.block}"
        raise AblateError(
            f"the metric {name!r} failed on {where}: {type(error).__name__}: {error}; mend or "
            "uninstall its plugin, and `ablate report` the run again"
        ) from error
    return value


def definitions(added: Added) -> dict[str, dict[str, str]]:
    """What ``results.json`` says of each."""
    return {
        name: {
            "unit": metric.unit,
            "better": metric.better,
            "definition": (inspect.getdoc(metric) or "").split("\n\n")[0].replace("\n", " "),
        }
        for name, metric in added.items()
    }


def quantity(value: float | None, definition: Mapping[str, Any]) -> str:
    """A value with its unit; a dash for None."""
    return "—" if value is None else f"{digits(value)} {definition['unit']}".rstrip()
