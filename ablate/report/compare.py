"""Two runs of one recipe, held against each other arm by arm."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ablate import stats
from ablate.errors import AblateError
from ablate.report import words
from ablate.report.arms import ArmData
from ablate.report.columns import Keys, reduce
from ablate.report.source import run_info, run_trials
from ablate.store import RunDir
from ablate.types import RunInfo

COLUMNS = {
    "request_throughput": "Request throughput",
    "mean_e2el_ms": "Whole answer",
    "mean_output_tokens": "Answer length",
    "peak_kv_bytes": "KV cache peak",
}
AID = (
    "Second run against the first [95 % interval]. Accuracy in percentage points, paired by "
    "problem; ratios by Welch's t test of logs, since the runs' blocks were not run side by side."
)

Arms = Mapping[str, ArmData]


def compare_runs(one: RunDir, other: RunDir) -> list[dict[str, Any]]:
    """The arms that both runs have, the second run against the first.

    Raises AblateError unless both asked the same problems and have an arm in common.
    """
    infos = run_info(one), run_info(other)
    keys = Keys()
    references: list[dict[tuple[str, str], str]] = [{}, {}]
    loaded = [
        _arms(run, info, keys, seen)
        for run, info, seen in zip((one, other), infos, references, strict=True)
    ]
    _same_problems(one, other, *references)
    shared = [name for name in loaded[0] if name in loaded[1]]
    if not shared:
        raise AblateError(f"{one.path} and {other.path} have no arm in common")
    return [_compared(name, loaded[0][name], loaded[1][name]) for name in shared]


def _arms(run: RunDir, info: RunInfo, keys: Keys, seen: dict[tuple[str, str], str]) -> Arms:
    found: dict[str, ArmData] = {arm.id: ArmData(arm, {}, keys) for arm in info.arms}
    for trial in run_trials(run, info):
        if trial.result.status == "ok":
            arm = found[trial.result.arm]
            data = {**arm.trials, trial.result.block: reduce(trial, keys)}
            found[trial.result.arm] = replace(arm, trials=data)
            seen |= {(r.domain, r.problem_id): r.reference for r in trial.records}
    return {name: arm for name, arm in found.items() if arm.trials}


def _same_problems(
    one: RunDir,
    other: RunDir,
    ours: Mapping[tuple[str, str], str],
    theirs: Mapping[tuple[str, str], str],
) -> None:
    for run, seen in ((one, ours), (other, theirs)):
        if not seen:
            raise AblateError(f"{run.path} has no finished trial to compare")
    only = sorted(ours.keys() ^ theirs.keys())
    if only:
        where = one if only[0] in ours else other
        raise AblateError(
            f"the runs did not ask the same problems: {len(only)} are in one of them only, such as "
            f"{'/'.join(only[0])} in {where.path}; compare runs with the same domains and limits"
        )
    changed = [problem for problem, answer in ours.items() if theirs[problem] != answer]
    if changed:
        raise AblateError(
            f"the runs did not ask the same problems: {'/'.join(changed[0])} has another "
            "reference answer in each"
        )


def _compared(name: str, first: ArmData, second: ArmData) -> dict[str, Any]:
    scores = [arm.scores(arm.blocks) for arm in (second, first)]
    pairs = stats.match(scores[0], scores[1], first.keys.problem)
    return {
        "arm": name,
        "accuracy": stats.accuracy_difference(pairs),
        "p_value": stats.mcnemar(pairs),
        "ratios": {metric: _ratio(first, second, metric) for metric in COLUMNS},
    }


def _ratio(first: ArmData, second: ArmData, metric: str) -> stats.Estimate:
    sides = [
        [v for b in sorted(arm.blocks) if (v := arm.metric(metric, b))] for arm in (second, first)
    ]
    return stats.unpaired_ratio(sides[0], sides[1])


def print_comparison(found: list[dict[str, Any]], console: Console) -> None:
    """A table with one row an arm."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("arm", "Accuracy", *COLUMNS.values()):
        table.add_column(Text(heading, "bold"), overflow="fold")
    for row in found:
        cells = [_points(row["accuracy"])]
        cells += ["\n".join(words.change(m, vars(e))) for m, e in row["ratios"].items()]
        table.add_row(Text(row["arm"]), *map(Text, cells))
    console.print(table)
    console.print(Text(f"\n{AID}", "dim"))


def _points(e: stats.Estimate) -> str:
    if e.value is None or not np.isfinite(e.value):
        return "—"
    return f"{words.points(e.value)}\n{words.interval(e.low, e.high, signed=True)}"
