"""A run as one mapping that JSON can hold: what ``results.json`` contains and reports show."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, is_dataclass
from math import isfinite
from typing import Any

from ablate.report.arms import ArmData, baseline_id, collect, describe
from ablate.report.contrasts import contrast
from ablate.report.noise import mark_noise, noise_floor
from ablate.report.notes import notes
from ablate.types import RunInfo, Trial

SCHEMA_VERSION = 1


def build_results(info: RunInfo, trials: Iterable[Trial]) -> dict[str, Any]:
    """Everything that is known of a run, finished or not.

    Keys: ``schema_version``, ``run``, ``environment``, ``baseline`` (an arm's id), ``arms``,
    ``contrasts`` (every arm but the baseline and its repeats), ``noise_floor``, ``failures``,
    ``notes``. Accuracies and their differences are shares of one; ratios are arm / baseline;
    metrics are named and defined as in docs/reference/metrics.md. No NaN and no infinity.
    """
    arms = collect(info, trials)
    baseline = baseline_id(info)
    found, floor = _contrasts(info, arms, arms.get(baseline) if baseline else None)
    result: dict[str, Any] = _plain(
        {
            "schema_version": SCHEMA_VERSION,
            "run": _run(info, arms),
            "environment": info.environment,
            "baseline": baseline,
            "arms": [describe(arm, info) for arm in arms.values()],
            "contrasts": found,
            "noise_floor": floor,
            "failures": [f for arm in arms.values() for f in _failures(arm)],
            "notes": notes(info, arms, found),
        }
    )
    return result


def _run(info: RunInfo, arms: Mapping[str, ArmData]) -> dict[str, Any]:
    ended = sum(len(a.trials) for a in arms.values())
    planned = len(info.arms) * info.blocks
    kept = {k: v for k, v in asdict(info).items() if k not in ("arms", "environment")}
    return kept | {
        "trials_ended": ended,
        "trials_planned": planned,
        "complete": ended == planned,
    }


def _contrasts(
    info: RunInfo, arms: Mapping[str, ArmData], baseline: ArmData | None
) -> tuple[list[dict[str, Any]], dict[str, Any] | None]:
    """The arms' contrasts and the noise floor, which holds the contrasts of the repeats."""
    if baseline is None:
        return [], None
    repeats = [a for a in arms.values() if a.info.replicate]
    others = [a for a in arms.values() if not a.info.replicate and a is not baseline]
    floor = noise_floor(repeats, baseline, info)
    found = [mark_noise(contrast(arm, baseline, info), floor) for arm in others]
    if floor:
        floor["contrasts"] = [contrast(repeat, baseline, info) for repeat in repeats]
    return found, floor


def _failures(arm: ArmData) -> list[dict[str, Any]]:
    return [
        {
            "arm": arm.info.id,
            "block": block,
            "kind": trial.result.kind or "error",
            "message": trial.result.message or "no message was left",
            "records": trial.answers,
        }
        for block, trial in sorted(arm.trials.items())
        if trial.result.status == "failed"
    ]


def _plain(value: Any) -> Any:
    """Plain dicts, lists and scalars; numbers that JSON cannot write become None."""
    if is_dataclass(value) and not isinstance(value, type):
        return _plain(asdict(value))
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if isinstance(value, float):
        return float(value) if isfinite(value) else None
    return value if value is None or isinstance(value, (bool, int, str)) else str(value)
