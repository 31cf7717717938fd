"""What each budget bought, of arms that differ in their token budget alone.

Where the thinking was closed at a number of tokens and answers were cut off at as many, the two
are compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from ablate import stats
from ablate.report.arms import ArmData, mean_values
from ablate.report.behaviours.budget_arms import Series, budget_of, series_of
from ablate.report.contrasts import Entry, paired_blocks
from ablate.report.judge import margin_of
from ablate.report.noise import within_noise
from ablate.stats.verdict import ALPHA
from ablate.types import RunInfo


def measured(
    usable: Sequence[ArmData], info: RunInfo, domains: Sequence[str | None], floor: Entry | None
) -> list[Entry]:
    """An entry for every series and domain."""
    found = []
    for series in series_of(usable, info):
        entries = [_measured(series, info, d, floor) for d in domains]
        found += _adjusted([e for e in entries if e])
    return found


def _measured(
    series: Series, info: RunInfo, domain: str | None, floor: Entry | None
) -> Entry | None:
    ladder, arms = [b for b, _ in series.arms], [arm for _, arm in series.arms]
    scores = _paired(arms, domain)
    if not scores.size:
        return None
    points = [_point(arm, b, domain, scores[:, i], info) for i, (b, arm) in enumerate(series.arms)]
    last = len(ladder) - 1
    against = [_change(scores, last, i, ladder[i], domain, floor) for i in range(last)]
    beside = [
        _change(_paired([arm, series.cut[b]], domain), 0, 1, b, domain, floor)
        | {"arm": series.cut[b].info.id}
        for b, arm in series.arms
        if b in series.cut and series.cut[b] is not arm
    ]
    entry = entry_of(series.source, arms, domain, points) | knee_of(scores, ladder, info)
    return entry | {"largest_against": against, "closed_against_cut": beside}


def _paired(arms: Sequence[ArmData], domain: str | None) -> stats.Floats:
    """Scores by problem of each arm, of the problems that all have: [problems, arms]."""
    here = arms[0].keys.within(domain)
    shared = paired_blocks(*arms)
    by_key = np.column_stack([a.scores(b)[here] for a, b in zip(arms, shared, strict=True)])
    everywhere = np.where(np.isnan(by_key).any(axis=1), np.nan, 0.0)
    problem = arms[0].keys.problem[here]
    columns = [stats.by_problem(column + everywhere, problem) for column in by_key.T]
    return np.column_stack(columns)


def _point(
    arm: ArmData, budget: int, domain: str | None, scores: stats.Floats, info: RunInfo
) -> Entry:
    good = list(arm.good.values())
    means = mean_values([t.metrics if domain is None else t.domains[domain] for t in good])
    tokens = np.concatenate([t.tokens[t.of(domain, arm.keys)] for t in good])
    return {
        "budget": budget,
        "arm": arm.info.id,
        "accuracy": asdict(stats.wilson(scores)),
        "cut_off": float((tokens >= (budget_of(arm, info) or budget)).mean()),
        "tokens": means["mean_output_tokens"],
        "seconds": means.get("running_time"),  # a domain has no time of its own
    }


def _change(
    scores: stats.Floats,
    one: int,
    other: int,
    budget: int,
    domain: str | None,
    floor: Entry | None,
) -> Entry:
    """One arm's accuracy minus another's, problem by problem."""
    d = np.round(scores[:, one] - scores[:, other], 12)
    change = asdict(stats.mean_change(d))
    return {
        "budget": budget,
        **change,
        "p_value": stats.sign_flip(d),
        "p_holm": None,
        "within_noise": within_noise(floor, "accuracy", domain, change["value"]),
    }


def _adjusted(entries: Sequence[Entry]) -> list[Entry]:
    """Holm's adjustment over every budget in every domain, and whether a smaller one was better."""
    found = [dict(entry) for entry in entries]
    for name in ("largest_against", "closed_against_cut"):
        p_values = [c["p_value"] for e in found for c in e[name]]
        adjusted = iter(stats.holm(p_values))
        for entry in found:
            entry[name] = [c | {"p_holm": next(adjusted)} for c in entry[name]]
    for entry in found:
        entry["overthinking"] = any(
            c["value"] < 0 and c["p_holm"] < ALPHA and not c["within_noise"]
            for c in entry["largest_against"]
        )
    return found


def entry_of(
    source: str, arms: Sequence[ArmData], domain: str | None, points: Sequence[Entry]
) -> Entry:
    return {
        "source": source,
        "arms": [a.info.id for a in arms],
        "domain": domain,
        "points": list(points),
        "largest_against": [],
        "closed_against_cut": [],
        "overthinking": None,  # cutting cannot show it: what a smaller budget gets right stays so
    }


def knee_of(scores: stats.Floats, ladder: Sequence[int], info: RunInfo) -> dict[str, Any]:
    """The smallest budget within the margin of the best."""
    found = stats.knee(scores, margin_of(info))
    if found is None or not scores.any():
        return {"knee": None}
    return {
        "knee": {
            "budget": ladder[found.place],
            "margin": margin_of(info),
            "sure": found.sure,
            "low": ladder[found.low],
            "high": ladder[found.high],
        }
    }
