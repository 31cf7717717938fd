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
    """The change that running the baseline again made, estimated as an arm's change is.

    So it is a mean over the blocks that both finished, like the effects that are held against it: a
    largest change over single blocks would grow with the blocks while effects become surer.
    Accuracy in shares of one, efficiency as a factor of at least 1; of several repeats the one that
    changed most. None without a repeat.
    """
    known = [r for r in repeats if r.blocks & baseline.blocks]
    if not known:
        return None
    return {
        "arms": [r.info.id for r in known],
        "blocks": sum(len(r.blocks & baseline.blocks) for r in known),
        "accuracy": {
            "overall": max(_change(r, baseline, None) for r in known),
            "domains": {d: max(_change(r, baseline, d) for r in known) for d in info.domains},
        },
        "ratios": {name: _largest_factor(known, baseline, name) for name in RATIO_METRICS},
        "domain_ratios": {
            d: {name: _largest_factor(known, baseline, name, d) for name in DOMAIN_RATIO_METRICS}
            for d in info.domains
        },
    }


def _change(repeat: ArmData, baseline: ArmData, domain: str | None) -> float:
    shared = repeat.blocks & baseline.blocks
    here = repeat.keys.within(domain)
    differences = (repeat.scores(shared) - baseline.scores(shared))[here]
    by_problem = stats.by_problem(differences, repeat.keys.problem[here])
    return abs(float(by_problem.mean())) if by_problem.size else 0.0


def _largest_factor(
    repeats: Sequence[ArmData], baseline: ArmData, name: str, domain: str | None = None
) -> float | None:
    means = [stats.ratio(*by_block(repeat, baseline, name, domain)).value for repeat in repeats]
    factors = [max(mean, 1 / mean) for mean in means if mean]
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
