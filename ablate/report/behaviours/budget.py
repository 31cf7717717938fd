"""What a token budget buys, read from one arm's answers, cut shorter.

Cutting is exact for answers that ended within the smaller budget: they are what it gives, token for
token. The others would be cut off there, and count as not right: too strict only where the text
already showed its answer when it was cut. ``series`` has what arms measured that set a budget.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict

import numpy as np

from ablate import stats
from ablate.report.arms import ArmData
from ablate.report.behaviours.budget_arms import budget_of
from ablate.report.behaviours.series import entry_of, knee_of, measured
from ablate.report.columns import TrialData
from ablate.report.contrasts import Entry
from ablate.types import RunInfo

SMALLEST = 16


def budgets(arms: Mapping[str, ArmData], info: RunInfo, floor: Entry | None) -> list[Entry]:
    """An entry for every arm (``cut``) and every set of arms that differ in their budget alone."""
    usable = [a for a in arms.values() if a.blocks and not a.info.replicate]
    domains: tuple[str | None, ...] = (None, *info.domains) if len(info.domains) > 1 else (None,)
    cut = [_cut(arm, info, d) for arm in usable for d in domains]
    return [e for e in cut if e] + measured(usable, info, domains, floor)


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
    return entry_of("cut", [arm], domain, points) | knee_of(scores, ladder, info)


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
