"""Every arm against the baseline, and the baseline against itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from math import log
from typing import Any

from ablate import stats
from ablate.report.arms import ArmData, of_domain
from ablate.types import RunInfo

RATIO_METRICS = (
    "output_throughput",
    "request_throughput",
    "running_time",
    "mean_e2el_ms",
    "mean_ttft_ms",
    "mean_ttfvt_ms",
    "mean_tpot_ms",
    "mean_itl_ms",
    "mean_output_tokens",
    "weight_bytes",
    "peak_kv_bytes",
    "peak_kv_allocated_bytes",
    "peak_rss_bytes",
)
"""Metrics compared as arm / baseline."""

Entry = dict[str, Any]


def contrast(arm: ArmData, baseline: ArmData, info: RunInfo) -> Entry:
    """An arm's effect on accuracy (paired by problem) and on efficiency (paired by block)."""
    ours, theirs = paired_blocks(arm, baseline)
    a, b = arm.scores(ours), baseline.scores(theirs)
    return {
        "arm": arm.info.id,
        "baseline": baseline.info.id,
        "blocks": {"arm": sorted(ours), "baseline": sorted(theirs)},
        "accuracy": {
            "overall": _accuracy(a, b),
            "domains": {d: _accuracy(of_domain(a, d), of_domain(b, d)) for d in info.domains},
        },
        "ratios": {
            name: asdict(stats.ratio(*_by_block(arm, baseline, name))) for name in RATIO_METRICS
        },
    }


def paired_blocks(arm: ArmData, baseline: ArmData) -> tuple[frozenset[int], frozenset[int]]:
    """The blocks whose answers are compared: those that both have, or all where they share none.

    The same number of repetitions on both sides keeps the sign test fair.
    """
    shared = arm.blocks & baseline.blocks
    return (shared, shared) if shared else (arm.blocks, baseline.blocks)


def _accuracy(arm: Mapping[stats.Key, float], baseline: Mapping[stats.Key, float]) -> Entry:
    pairs = stats.pair(arm, baseline)
    return asdict(stats.accuracy_difference(pairs)) | {
        "p_value": stats.mcnemar(pairs),
        "better": pairs.better,
        "worse": pairs.worse,
        "missing_in_arm": pairs.missing_in_arm,
        "missing_in_baseline": pairs.missing_in_baseline,
    }


def _by_block(
    arm: ArmData, baseline: ArmData, name: str
) -> tuple[list[float | None], list[float | None]]:
    shared = sorted(arm.blocks & baseline.blocks)
    return [arm.metrics[b][name] for b in shared], [baseline.metrics[b][name] for b in shared]


def noise_floor(repeats: Sequence[ArmData], baseline: ArmData, info: RunInfo) -> Entry | None:
    """The largest change that running the baseline again made in any one block.

    Accuracy in shares of one, efficiency as a factor of at least 1; None without a repeat.
    """
    if not any(r.blocks & baseline.blocks for r in repeats):
        return None
    twice = [(r, b) for r in repeats for b in sorted(r.blocks & baseline.blocks)]
    return {
        "arms": [r.info.id for r in repeats],
        "blocks": len(twice),
        "accuracy": {
            "overall": max(_change(r, baseline, b, None) for r, b in twice),
            "domains": {d: max(_change(r, baseline, b, d) for r, b in twice) for d in info.domains},
        },
        "ratios": {name: _largest_factor(repeats, baseline, name) for name in RATIO_METRICS},
    }


def _change(repeat: ArmData, baseline: ArmData, block: int, domain: str | None) -> float:
    one = frozenset({block})
    a, b = repeat.scores(one), baseline.scores(one)
    if domain is not None:
        a, b = of_domain(a, domain), of_domain(b, domain)
    differences = stats.pair(a, b).differences
    return abs(float(differences.mean())) if differences.size else 0.0


def _largest_factor(repeats: Sequence[ArmData], baseline: ArmData, name: str) -> float | None:
    factors = [
        max(x / y, y / x)
        for repeat in repeats
        for x, y in zip(*_by_block(repeat, baseline, name), strict=True)
        if x and y
    ]
    return max(factors) if factors else None


def mark_noise(found: Entry, floor: Entry | None) -> Entry:
    """The contrast with ``within_noise`` beside each effect, None where it cannot be told."""
    accuracy, ratios = found["accuracy"], found["ratios"]
    points = floor["accuracy"] if floor else {"overall": None, "domains": {}}
    factors = floor["ratios"] if floor else {}
    return found | {
        "accuracy": {
            "overall": _in_points(accuracy["overall"], points["overall"]),
            "domains": {
                d: _in_points(entry, points["domains"].get(d))
                for d, entry in accuracy["domains"].items()
            },
        },
        "ratios": {name: _in_factor(entry, factors.get(name)) for name, entry in ratios.items()},
    }


def _in_points(entry: Entry, limit: float | None) -> Entry:
    if entry["value"] is None or limit is None:
        return entry | {"within_noise": None}
    return entry | {"within_noise": abs(entry["value"]) <= limit}


def _in_factor(entry: Entry, limit: float | None) -> Entry:
    if entry["value"] is None or limit is None:
        return entry | {"within_noise": None}
    return entry | {"within_noise": abs(log(entry["value"])) <= log(limit)}
