"""A run as one mapping that JSON can hold: what ``results.json`` contains and reports show."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, is_dataclass
from math import isfinite
from typing import Any

from ablate.report import agreement
from ablate.report.added import NONE, Added, definitions
from ablate.report.arms import ArmData, baseline_id, collect, describe
from ablate.report.behaviours import behaviours
from ablate.report.claims import judge_claims
from ablate.report.contrasts import contrast, open_loop
from ablate.report.drift import drift, drift_notes
from ablate.report.effects import all_effects, study, unshown
from ablate.report.judge import Workload, band_of, margin_of, speed_metric, verdicts
from ablate.report.noise import mark_noise, noise_floor
from ablate.report.notes import notes
from ablate.report.offline import offline
from ablate.report.tradeoffs import goodput, pareto
from ablate.types import RunInfo, Trial

SCHEMA_VERSION = 2


def build_results(info: RunInfo, trials: Iterable[Trial], added: Added = NONE) -> dict[str, Any]:
    """Everything that is known of a run, finished or not, as results.schema.json describes it.

    ``trials`` may be a generator; each is reduced before the next is asked for. Accuracies and
    their differences are shares of one; ratios are arm / baseline; metrics are named and defined
    as in docs/reference/metrics.md; ``added`` are those of plugins. A ``domain`` of null means all
    problems together. No NaN and no infinity.
    """
    everything, every_arm = info, collect(info, trials, added)
    info, arms = info.under_load, {n: a for n, a in every_arm.items() if not a.info.offline_of}
    twins = {a.info.offline_of: a for a in every_arm.values() if a.info.offline_of}
    name = baseline_id(info)
    baseline = arms.get(name) if name else None
    found, floor = _contrasts(info, arms, baseline)
    workload = _workload(arms, baseline)
    measured = study(info, arms, floor)
    mains, pairs = all_effects(measured)
    moved = drift(arms)
    result: dict[str, Any] = _plain(
        {
            "schema_version": SCHEMA_VERSION,
            "run": _run(everything, every_arm) | {"workload": workload},
            "environment": info.environment,
            "baseline": name,
            "rules": {
                "accuracy_margin": margin_of(info),
                "efficiency_band": band_of(info),
                "speed_metric": speed_metric(workload, None),
                "domain_speed_metric": speed_metric(workload, ""),
            },
            "verdicts": verdicts(measured, mains, pairs, workload),
            "claims": judge_claims(measured, workload),
            "added_metrics": definitions(added),
            "arms": [describe(arm, info) for arm in arms.values()],
            "contrasts": found,
            "effects": mains,
            "interactions": pairs,
            "noise_floor": floor,
            **_agreement(info, arms, baseline),
            "offline": offline(arms, twins, info, floor),
            "goodput": goodput(arms, name, info),
            "pareto": pareto(arms, speed_metric(workload, None)),
            "behaviours": behaviours(info, arms, floor, found),
            "drift": moved,
            "failures": [f for arm in every_arm.values() for f in _failures(arm)],
            "notes": [
                *notes(everything, every_arm, found),
                *unshown(measured),
                *drift_notes(moved),
            ],
        }
    )
    return result


def _workload(arms: Mapping[str, ArmData], baseline: ArmData | None) -> Workload:
    """The baseline's: with given arrivals, some arm has the same; another may have its own load."""
    if baseline is None:
        return "closed"
    if any("max_request_rate" in t.result.counters for t in baseline.good.values()):
        return "search"
    others = [a for a in arms.values() if a is not baseline and not a.info.replicate]
    opened = any(
        open_loop(arm.trials[block], baseline.trials[block], arm)
        for arm in others
        for block in sorted(arm.blocks & baseline.blocks)
    )
    return "open" if opened else "closed"


def _agreement(
    info: RunInfo, arms: Mapping[str, ArmData], baseline: ArmData | None
) -> dict[str, Any]:
    """The baseline against itself, the answers that changed sides, and the lossless claims."""
    if baseline is None:
        return {"a_a": None, "flips": [], "lossless": []}
    repeats = [a for a in arms.values() if a.info.replicate]
    others = [a for a in arms.values() if not a.info.replicate and a is not baseline]
    return {
        "a_a": agreement.a_a(repeats, baseline, info),
        "flips": [agreement.flips(arm, baseline, info) for arm in others],
        "lossless": agreement.lossless(others, repeats, baseline, info),
    }


def _run(info: RunInfo, arms: Mapping[str, ArmData]) -> dict[str, Any]:
    ended = sum(len(a.trials) for a in arms.values())
    planned = len(info.places)
    kept = {k: v for k, v in asdict(info).items() if k not in ("arms", "environment", "claims")}
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
