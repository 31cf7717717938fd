"""What is useful per second, and which arms no other arm beats."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ablate import stats
from ablate.metrics import NAMES, within
from ablate.report.arms import ArmData, mean_values
from ablate.report.columns import TrialData
from ablate.report.contrasts import Entry
from ablate.types import RunInfo

PARETO_METRICS = ("request_throughput", "mean_e2el_ms", "weight_bytes", "peak_kv_bytes")


def goodput(arms: Mapping[str, ArmData], baseline: str | None, info: RunInfo) -> Entry:
    """Answers that are right *and* came within every bound of the recipe's ``slo``, per second.

    Without bounds it counts right answers. Quality-qualified goodput, after the goodput of
    DistServe (Zhong et al. 2024, arXiv 2401.09670), which counts every answer within its SLO.
    """
    own = {
        name: {b: _block(t, arm, info, None) for b, t in arm.good.items() if _timed(t)}
        for name, arm in arms.items()
    }
    theirs = own.get(baseline or "", {})
    entries = []
    for name, arm in arms.items():
        blocks = own[name]
        shared = sorted(blocks.keys() & theirs.keys())
        ratio = stats.ratio(
            [blocks[b]["goodput"] for b in shared], [theirs[b]["goodput"] for b in shared]
        )
        in_domain = {
            d: mean_values([_block(t, arm, info, d) for t in arm.good.values() if _timed(t)])
            for d in info.domains
        }
        entries.append(
            {
                "arm": name,
                "overall": mean_values(list(blocks.values())),
                "domains": in_domain,
                "ratio": asdict(ratio) if name != baseline else None,
            }
        )
    return {"slo": info.slo, "arms": entries}


def _timed(trial: TrialData) -> bool:
    return not trial.result.resumed and bool(trial.result.running_time)


def _block(
    trial: TrialData, arm: ArmData, info: RunInfo, domain: str | None
) -> dict[str, float | None]:
    """Rates are per second of the whole trial: domains share its time."""
    seconds = trial.result.running_time or 0.0
    here = trial.of(domain, arm.keys)
    asked, right = int(here.sum()), int((trial.correct & here).sum())
    prompt = _within_slo(trial, info) & here
    good = int((prompt & trial.correct).sum())
    return {
        "goodput": good / seconds,
        "correct_per_second": right / seconds,
        "share_within_slo": float(prompt.sum()) / asked if asked else None,
        "share_correct_within_slo": good / asked if asked else None,
        "tokens_per_correct": float(trial.tokens[here].sum()) / right if right else None,
        "seconds_per_correct": seconds / right if right else None,
    }


def _within_slo(trial: TrialData, info: RunInfo) -> NDArray[np.bool_]:
    """Which answers kept every bound: [answers]."""
    with np.errstate(divide="ignore", invalid="ignore"):
        tpot = np.where(trial.tokens > 1, trial.decode / (trial.tokens - 1), np.nan)
    return within(info.slo, {"ttft": trial.ttft, "tpot": tpot, "e2e_latency": trial.e2e})


def pareto(arms: Mapping[str, ArmData], primary: str) -> list[Entry]:
    """The Pareto fronts of accuracy against one efficiency metric each, the primary one first.

    By the arms' means over blocks. A dominated arm names the arm on the front that is no worse in
    both and better in one, and what it would gain by it.
    """
    names = dict.fromkeys((primary, *PARETO_METRICS))
    fronts = (_front(arms, name) for name in names)
    return [front for front in fronts if front["points"]]


def _front(arms: Mapping[str, ArmData], metric: str) -> Entry:
    values: dict[str, tuple[float, float]] = {}
    for name, arm in arms.items():
        if arm.info.replicate or not arm.blocks:
            continue
        means = mean_values([t.metrics for t in arm.good.values()])
        accuracy, value = means.get("accuracy"), means.get(metric)
        if accuracy is not None and value:
            values[name] = (accuracy, value)
    higher = NAMES[metric].better == "higher"
    better = stats.dominators({n: (a, v if higher else 1 / v) for n, (a, v) in values.items()})
    return {
        "metric": metric,
        "better": NAMES[metric].better,
        "front": [name for name, by in better.items() if by is None],
        "points": [_point(name, values, by) for name, by in better.items()],
    }


def _point(name: str, values: Mapping[str, tuple[float, float]], by: str | None) -> dict[str, Any]:
    accuracy, value = values[name]
    return {
        "arm": name,
        "accuracy": accuracy,
        "value": value,
        "dominated_by": by,
        "accuracy_gain": values[by][0] - accuracy if by else None,
        "ratio_gain": values[by][1] / value if by else None,
    }
