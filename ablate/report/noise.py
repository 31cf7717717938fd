"""The noise floor: what the baseline does to itself, and which effects are no larger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import log
from typing import Any

from ablate import stats
from ablate.report.arms import ArmData
from ablate.report.contrasts import DOMAIN_RATIO_METRICS, RATIO_METRICS, Entry, by_block
from ablate.types import RunInfo


def noise_floor(repeats: Sequence[ArmData], baseline: ArmData, info: RunInfo) -> Entry | None:
    """The largest change that running the baseline again made in any one block.

    Accuracy in shares of one, efficiency as a factor of at least 1; None without a repeat.
    """
    twice = [(r, b) for r in repeats for b in sorted(r.blocks & baseline.blocks)]
    if not twice:
        return None
    return {
        "arms": [r.info.id for r in repeats],
        "blocks": len(twice),
        "accuracy": {
            "overall": max(_change(r, baseline, b, None) for r, b in twice),
            "domains": {d: max(_change(r, baseline, b, d) for r, b in twice) for d in info.domains},
        },
        "ratios": {name: _largest_factor(repeats, baseline, name) for name in RATIO_METRICS},
        "domain_ratios": {
            d: {name: _largest_factor(repeats, baseline, name, d) for name in DOMAIN_RATIO_METRICS}
            for d in info.domains
        },
    }


def _change(repeat: ArmData, baseline: ArmData, block: int, domain: str | None) -> float:
    one = frozenset({block})
    here = repeat.keys.within(domain)
    differences = (repeat.scores(one) - baseline.scores(one))[here]
    by_problem = stats.by_problem(differences, repeat.keys.problem[here])
    return abs(float(by_problem.mean())) if by_problem.size else 0.0


def _largest_factor(
    repeats: Sequence[ArmData], baseline: ArmData, name: str, domain: str | None = None
) -> float | None:
    factors = [
        max(x / y, y / x)
        for repeat in repeats
        for x, y in zip(*by_block(repeat, baseline, name, domain), strict=True)
        if x and y
    ]
    return max(factors) if factors else None


def floor_of(floor: Entry | None, metric: str, domain: str | None) -> float | None:
    """The floor of a metric: a share for accuracy, else a factor; None where there is none."""
    if floor is None:
        return None
    if metric == "accuracy":
        part = floor["accuracy"]
        value = part["overall"] if domain is None else part["domains"].get(domain)
    elif domain is None:
        value = floor["ratios"].get(metric)
    else:
        value = floor["domain_ratios"].get(domain, {}).get(metric)
    return None if value is None else float(value)


def within_noise(floor: Entry | None, metric: str, domain: str | None, value: Any) -> bool | None:
    """Whether an effect is no larger than the floor; None where that cannot be told."""
    limit = floor_of(floor, metric, domain)
    if value is None or limit is None:
        return None
    if metric == "accuracy":
        return bool(abs(value) <= limit)
    return bool(abs(log(value)) <= log(limit))


def mark_noise(found: Entry, floor: Entry | None) -> Entry:
    """The contrast with ``within_noise`` beside each effect, None where it cannot be told."""

    def marked(entry: Entry, metric: str, domain: str | None) -> Entry:
        return entry | {"within_noise": within_noise(floor, metric, domain, entry["value"])}

    def ratios(entries: Mapping[str, Entry], domain: str | None) -> Entry:
        return {name: marked(entry, name, domain) for name, entry in entries.items()}

    accuracy = found["accuracy"]
    return found | {
        "accuracy": {
            "overall": marked(accuracy["overall"], "accuracy", None),
            "domains": {d: marked(e, "accuracy", d) for d, e in accuracy["domains"].items()},
        },
        "ratios": ratios(found["ratios"], None),
        "domain_ratios": {d: ratios(e, d) for d, e in found["domain_ratios"].items()},
    }
