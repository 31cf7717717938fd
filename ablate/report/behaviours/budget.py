"""What a token budget buys: from arms that set it, and from one arm's answers, cut shorter.

Cutting is exact for answers that ended within the smaller budget: they are what it gives, token for
token. The others would be cut off there, and count as not right: too strict only where the text
already showed its answer when it was cut.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from ablate import stats
from ablate.report.arms import ArmData, mean_values
from ablate.report.columns import TrialData
from ablate.report.contrasts import Entry, paired_blocks
from ablate.report.judge import margin_of
from ablate.report.noise import within_noise
from ablate.stats.verdict import ALPHA
from ablate.types import RunInfo

KEY = "sampling.max_tokens"
SMALLEST = 16
Series = tuple[tuple[int, ArmData], ...]
"""Arms that differ in their budget alone, with it, rising."""


def budgets(arms: Mapping[str, ArmData], info: RunInfo, floor: Entry | None) -> list[Entry]:
    """An entry for every arm (``cut``) and every set of arms that differ in their budget alone."""
    usable = [a for a in arms.values() if a.blocks and not a.info.replicate]
    domains: tuple[str | None, ...] = (None, *info.domains) if len(info.domains) > 1 else (None,)
    found = [_cut(arm, info, d) for arm in usable for d in domains]
    for series in _series(usable, info):
        measured = [_measured(series, info, d, floor) for d in domains]
        found += _adjusted([m for m in measured if m])
    return [entry for entry in found if entry]


def budget_of(arm: ArmData, info: RunInfo) -> int | None:
    """Output tokens that the arm's answers may have, None in a run that does not say."""
    value = arm.info.settings.get(KEY, info.sampling.get("max_tokens"))
    return None if value is None else int(value)


def _cut(arm: ArmData, info: RunInfo, domain: str | None) -> Entry | None:
    trials = list(arm.good.values())
    tokens = np.concatenate([t.tokens[t.of(domain, arm.keys)] for t in trials])
    own = budget_of(arm, info) or int(tokens.max(initial=0))
    if not tokens.size or own <= SMALLEST:
        return None
    ladder = _ladder(own)
    scores = np.column_stack([_scores(arm, trials, domain, b) for b in ladder])
    points = [
        {
            "budget": b,
            "arm": arm.info.id,
            "accuracy": asdict(stats.wilson(scores[:, i])),
            "cut_off": float((tokens > b).mean() if b < own else (tokens >= own).mean()),
            "tokens": float(np.minimum(tokens, b).mean()),
            "seconds": None,
        }
        for i, b in enumerate(ladder)
    ]
    return _entry("cut", [arm], domain, points) | _knee(scores, ladder, info)


def _ladder(own: int) -> list[int]:
    """16, 24, 32, 48, 64 … and the arm's own budget."""
    steps = (SMALLEST << k for k in range(32))
    return [*(b for step in steps for b in (step, step * 3 // 2) if b < own), own]


def _scores(
    arm: ArmData, trials: Sequence[TrialData], domain: str | None, budget: int
) -> stats.Floats:
    """Share of answers that were right within a budget, by problem: [problems]."""
    size = len(arm.keys.names)
    right, asked = np.zeros(size), np.zeros(size)
    for trial in trials:
        within = trial.correct & (trial.tokens <= budget)
        right += np.bincount(trial.key, weights=within, minlength=size)
        asked += np.bincount(trial.key, minlength=size)
    here = arm.keys.within(domain)
    shares = np.full(size, np.nan)
    shares[asked > 0] = right[asked > 0] / asked[asked > 0]
    return stats.by_problem(shares[here], arm.keys.problem[here])


def _series(arms: Sequence[ArmData], info: RunInfo) -> list[Series]:
    """Arms alike in everything but the budget, where there are two budgets or more."""
    groups: dict[str, list[tuple[int, ArmData]]] = {}
    for arm in arms:
        budget = budget_of(arm, info)
        rest = {k: v for k, v in arm.info.settings.items() if k != KEY}
        if budget is not None:
            groups.setdefault(f"{arm.info.plugins} {rest}", []).append((budget, arm))
    rising = (tuple(sorted(g, key=lambda pair: pair[0])) for g in groups.values())
    return [s for s in rising if len({budget for budget, _ in s}) > 1]


def _measured(
    series: Series, info: RunInfo, domain: str | None, floor: Entry | None
) -> Entry | None:
    ladder, arms = [b for b, _ in series], [arm for _, arm in series]
    here = arms[0].keys.within(domain)
    shared = paired_blocks(*arms)
    by_key = np.column_stack([a.scores(b)[here] for a, b in zip(arms, shared, strict=True)])
    everywhere = np.where(np.isnan(by_key).any(axis=1), np.nan, 0.0)
    problem = arms[0].keys.problem[here]
    columns = [stats.by_problem(column + everywhere, problem) for column in by_key.T]
    if not columns[0].size:
        return None
    scores = np.column_stack(columns)
    points = [_point(arm, b, domain, scores[:, i]) for i, (b, arm) in enumerate(series)]
    against = [_against(scores, i, ladder, domain, floor) for i in range(len(ladder) - 1)]
    entry = _entry("arms", arms, domain, points) | _knee(scores, ladder, info)
    return entry | {"largest_against": against}


def _point(arm: ArmData, budget: int, domain: str | None, scores: stats.Floats) -> Entry:
    good = list(arm.good.values())
    means = mean_values([t.metrics if domain is None else t.domains[domain] for t in good])
    tokens = np.concatenate([t.tokens[t.of(domain, arm.keys)] for t in good])
    return {
        "budget": budget,
        "arm": arm.info.id,
        "accuracy": asdict(stats.wilson(scores)),
        "cut_off": float((tokens >= budget).mean()),
        "tokens": means["mean_output_tokens"],
        "seconds": means.get("running_time"),  # a domain has no time of its own
    }


def _against(
    scores: stats.Floats, place: int, ladder: Sequence[int], domain: str | None, floor: Entry | None
) -> Entry:
    """The largest budget against a smaller one, problem by problem."""
    d = np.round(scores[:, -1] - scores[:, place], 12)
    change = asdict(stats.mean_change(d))
    return {
        "budget": ladder[place],
        **change,
        "p_value": stats.sign_flip(d),
        "p_holm": None,
        "within_noise": within_noise(floor, "accuracy", domain, change["value"]),
    }


def _adjusted(entries: Sequence[Entry]) -> list[Entry]:
    """Holm's adjustment over every smaller budget in every domain, and whether any was better."""
    p_values = [c["p_value"] for e in entries for c in e["largest_against"]]
    adjusted = iter(stats.holm(p_values))
    found = []
    for entry in entries:
        against = [c | {"p_holm": next(adjusted)} for c in entry["largest_against"]]
        worse = any(
            c["value"] < 0 and c["p_holm"] < ALPHA and not c["within_noise"] for c in against
        )
        found.append(entry | {"largest_against": against, "overthinking": worse})
    return found


def _entry(
    source: str, arms: Sequence[ArmData], domain: str | None, points: Sequence[Entry]
) -> Entry:
    return {
        "source": source,
        "arms": [a.info.id for a in arms],
        "domain": domain,
        "points": list(points),
        "largest_against": [],
        "overthinking": None,  # cutting cannot show it: what a smaller budget gets right stays so
    }


def _knee(scores: stats.Floats, ladder: Sequence[int], info: RunInfo) -> dict[str, Any]:
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
