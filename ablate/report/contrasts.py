"""Every arm against the baseline, and the baseline against itself."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from typing import Any

import numpy as np

from ablate import stats
from ablate.report.arms import ArmData
from ablate.report.columns import OUTCOMES, TrialData
from ablate.types import RunInfo

RATIO_METRICS = (
    "output_throughput",
    "request_throughput",
    "max_request_rate",
    "running_time",
    "mean_e2el_ms",
    "mean_ttft_ms",
    "mean_ttfvt_ms",
    "mean_tpot_ms",
    "mean_itl_ms",
    "mean_output_tokens",
    "cv_e2el",
    "weight_bytes",
    "peak_kv_bytes",
    "std_kv_bytes",
    "peak_kv_allocated_bytes",
    "peak_rss_bytes",
)
"""Metrics compared as arm / baseline."""

DOMAIN_RATIO_METRICS = (
    "mean_e2el_ms",
    "mean_ttft_ms",
    "mean_ttfvt_ms",
    "mean_tpot_ms",
    "mean_itl_ms",
    "mean_output_tokens",
)
"""Those that the requests of one domain have, too."""

LATENCIES = {"e2e_latency": "e2e", "ttft": "ttft"}
"""Latencies that are paired by request where arms share arrivals -> their column."""

Entry = dict[str, Any]


def contrast(arm: ArmData, baseline: ArmData, info: RunInfo) -> Entry:
    """An arm's effect on accuracy (paired by problem) and on efficiency (paired by block)."""
    ours, theirs = paired_blocks(arm, baseline)
    return {
        "arm": arm.info.id,
        "baseline": baseline.info.id,
        "blocks": {"arm": sorted(ours), "baseline": sorted(theirs)},
        "accuracy": {
            "overall": accuracy_change(arm, baseline, None),
            "domains": {d: accuracy_change(arm, baseline, d) for d in info.domains},
        },
        "ratios": {name: _ratio(arm, baseline, name) for name in RATIO_METRICS},
        "domain_ratios": {
            d: {name: _ratio(arm, baseline, name, d) for name in DOMAIN_RATIO_METRICS}
            for d in info.domains
        },
        "paired_latencies": {
            "overall": _paired_latencies(arm, baseline, None),
            "domains": {d: _paired_latencies(arm, baseline, d) for d in info.domains},
        },
        "outcomes": {
            "overall": _outcomes(arm, baseline, None),
            "domains": {d: _outcomes(arm, baseline, d) for d in info.domains},
        },
        "why": {
            "overall": _why(arm, baseline, None),
            "domains": {d: _why(arm, baseline, d) for d in info.domains},
        },
    }


def paired_blocks(*arms: ArmData) -> tuple[frozenset[int], ...]:
    """The blocks whose answers are compared: those that all have, or each arm's own without any.

    The same number of repetitions on both sides keeps the sign test fair.
    """
    shared = frozenset.intersection(*(arm.blocks for arm in arms))
    return (shared,) * len(arms) if shared else tuple(arm.blocks for arm in arms)


def accuracy_change(arm: ArmData, baseline: ArmData, domain: str | None) -> Entry:
    """Accuracy minus the baseline's, paired by problem."""
    ours, theirs = paired_blocks(arm, baseline)
    here = arm.keys.within(domain)
    pairs = stats.match(
        arm.scores(ours)[here], baseline.scores(theirs)[here], arm.keys.problem[here]
    )
    return asdict(stats.accuracy_difference(pairs)) | {
        "p_value": stats.mcnemar(pairs),
        "better": pairs.better,
        "worse": pairs.worse,
        "missing_in_arm": pairs.missing_in_arm,
        "missing_in_baseline": pairs.missing_in_baseline,
    }


def _ratio(arm: ArmData, baseline: ArmData, name: str, domain: str | None = None) -> Entry:
    return asdict(stats.ratio(*by_block(arm, baseline, name, domain)))


def by_block(
    arm: ArmData, baseline: ArmData, name: str, domain: str | None = None
) -> tuple[list[float | None], list[float | None]]:
    shared = sorted(arm.blocks & baseline.blocks)
    return (
        [arm.metric(name, b, domain) for b in shared],
        [baseline.metric(name, b, domain) for b in shared],
    )


def _timed_pairs(arm: ArmData, baseline: ArmData) -> list[tuple[TrialData, TrialData]]:
    """The shared blocks in which both trials were measured in one piece."""
    pairs = [(arm.trials[b], baseline.trials[b]) for b in sorted(arm.blocks & baseline.blocks)]
    return [p for p in pairs if not any(t.result.resumed for t in p)]


def open_loop(one: TrialData, other: TrialData, arm: ArmData) -> bool:
    """Whether two trials of a block had the same arrivals, given beforehand.

    In a closed loop a request arrives when another ends, so no two trials agree.
    """
    x, y = (t.columns("arrival", arm.keys) for t in (one, other))
    both = ~np.isnan(x + y)
    return bool(both.any() and (x[both] == y[both]).all() and np.unique(x[both]).size > 1)


def _paired_latencies(arm: ArmData, baseline: ArmData, domain: str | None) -> Entry | None:
    """Mean log ratio by request, then over blocks; None unless arrivals are shared."""
    pairs = [p for p in _timed_pairs(arm, baseline) if open_loop(*p, arm)]
    if not pairs:
        return None
    here = arm.keys.within(domain)
    found = {}
    for name, column in LATENCIES.items():
        columns = [[t.columns(column, arm.keys)[here] for t in pair] for pair in pairs]
        logs = [stats.by_request(ours, theirs) for ours, theirs in columns]
        found[name] = asdict(stats.ratio_of_logs([x for x in logs if x is not None]))
    return found


def _outcomes(arm: ArmData, baseline: ArmData, domain: str | None) -> Entry:
    """Answers by outcome, and what became of those that changed sides (answers, not problems)."""
    moves: Counter[tuple[str, str]] = Counter()
    for block in sorted(arm.blocks & baseline.blocks):
        here = arm.keys.within(domain)
        before, after = (
            t.columns("outcome", arm.keys)[here]
            for t in (baseline.trials[block], arm.trials[block])
        )
        both = ~np.isnan(before + after)
        codes = (before[both] * len(OUTCOMES) + after[both]).astype(np.int_)
        for code, count in enumerate(np.bincount(codes, minlength=len(OUTCOMES) ** 2)):
            moves[OUTCOMES[code // len(OUTCOMES)], OUTCOMES[code % len(OUTCOMES)]] += int(count)
    bad = [o for o in OUTCOMES if o != "correct"]
    return {
        "baseline": {o: sum(n for (was, _), n in moves.items() if was == o) for o in OUTCOMES},
        "arm": {o: sum(n for (_, now), n in moves.items() if now == o) for o in OUTCOMES},
        "right_to_wrong": {o: moves["correct", o] for o in bad},
        "wrong_to_right": {o: moves[o, "correct"] for o in bad},
    }


def _why(arm: ArmData, baseline: ArmData, domain: str | None) -> Entry | None:
    """How answer length, time per token and waiting make up the change of mean E2E latency."""
    blocks = []
    for pair in _timed_pairs(arm, baseline):
        ours, theirs = (_parts(trial, arm, domain) for trial in pair)
        blocks.append({name: (ours[name], theirs[name]) for name in ours})
    return stats.decompose(blocks)


def _parts(trial: TrialData, arm: ArmData, domain: str | None) -> dict[str, float]:
    here = trial.of(domain, arm.keys)
    timed = here & ~np.isnan(trial.decode)
    gaps = float((trial.tokens[timed] - 1).sum())
    return {
        "e2e": float(trial.e2e[here].mean()) if here.any() else 0.0,
        "output_length": float(trial.tokens[here].mean()) if here.any() else 0.0,
        "time_per_token": float(trial.decode[timed].sum()) / gaps if gaps else 0.0,
    }
