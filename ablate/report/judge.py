"""The verdict on each optimization: keep, drop, trade-off, no difference or undecided.

Where two optimizations interact on a metric, the average over the other's settings would blame
each for what only both together do. Then each is judged by what it does with the other one off,
and the interaction is stated as a caution.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import log
from typing import Any, Literal

from ablate import stats
from ablate.metrics import NAMES
from ablate.report.contrasts import DOMAIN_RATIO_METRICS as OF_DOMAINS
from ablate.report.contrasts import Entry
from ablate.report.effects import Study, effect, is_exact
from ablate.report.reasons import caution, reason
from ablate.stats.verdict import (
    ALPHA,
    DEFAULT_BAND,
    DEFAULT_MARGIN,
    Effect,
    accuracy_status,
    efficiency_status,
    more_blocks,
    more_problems,
    verdict,
)
from ablate.types import RunInfo

MEMORY = ("weight_bytes", "peak_kv_bytes")
Workload = Literal["open", "closed", "search"]
"""``open``: arrivals were given beforehand; ``closed``: they followed the answers; ``search``: each
trial had its own highest rate."""


def margin_of(info: RunInfo) -> float:
    return info.margins.get("accuracy", DEFAULT_MARGIN)


def band_of(info: RunInfo) -> float:
    """The efficiency band as a share: 0.05 means ratios from 1/1.05 to 1.05."""
    return info.margins.get("efficiency", DEFAULT_BAND)


def speed_metric(workload: Workload, domain: str | None) -> str:
    """The metric that speed is judged by.

    Closed loop: requests per second, which counts longer answers as slower (every arm gets the
    same requests). Open loop: mean E2E latency, as the arrivals fix the throughput. In a domain:
    its mean E2E latency, since the domains share one run. A search for the highest rate: that
    rate, also in a domain; arms then had unlike loads, so that their latencies do not compare.
    """
    if workload == "search":
        return "max_request_rate"
    closed = workload == "closed" and domain is None
    return "request_throughput" if closed else "mean_e2el_ms"


def verdicts(
    s: Study, mains: Sequence[Entry], pairs: Sequence[Entry], workload: Workload
) -> list[Entry]:
    """One entry for every optimization over all problems, then one for each domain."""
    judge = _Judge(s, mains, pairs, workload)
    comparisons = stats.main_effects(s.design)
    return [judge.on(c, domain) for c in comparisons for domain in s.domains]


def as_effect(e: Mapping[str, Any]) -> Effect:
    """An effect as the rules see it: logs for ratios, up is better."""
    value, low, high = e["value"], e["low"], e["high"]
    if e["metric"] != "accuracy":
        sign = 1 if NAMES[e["metric"]].better == "higher" else -1
        value, low, high = (None if v is None else sign * log(v) for v in (value, low, high))
        if sign < 0:
            low, high = high, low
    return Effect(
        value,
        low,
        high,
        p=e["p_holm"] if e["p_holm"] is not None else e["p_value"],
        n=e["n"],
        deviation=e["deviation"],
        within_noise=bool(e["within_noise"]),
        exact=is_exact(e),
    )


def is_sure(e: Mapping[str, Any] | None) -> bool:
    """Shown after adjustment, and larger than the noise floor."""
    return bool(e and e["p_holm"] is not None and e["p_holm"] < ALPHA and not e["within_noise"])


def _levels(e: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(x["factor"], x["level"]) for x in e["levels"]]


class _Judge:
    def __init__(
        self, s: Study, mains: Sequence[Entry], pairs: Sequence[Entry], workload: Workload
    ) -> None:
        self._s = s
        self._main = {(e["name"], e["metric"], e["domain"]): e for e in mains}
        self._pairs = pairs
        self._workload = workload
        self._margin, self._band = margin_of(s.info), band_of(s.info)

    def on(self, comparison: stats.Comparison, domain: str | None) -> Entry:
        found = [self._accuracy(comparison, domain)]
        found += [
            self._efficiency(comparison, metric, domain if metric in OF_DOMAINS else None)
            for metric in (speed_metric(self._workload, domain), *MEMORY)
        ]
        accuracy, *efficiency = found
        word = verdict(accuracy["status"], [e["status"] for e in efficiency])
        (level,) = comparison.levels
        entry = {
            "name": comparison.name,
            "factor": level[0],
            "level": level[1],
            "domain": domain,
            "verdict": word,
            "reason": reason(accuracy, efficiency, self._margin, self._band),
            "accuracy": accuracy,
            "efficiency": efficiency,
            **self._more(word, accuracy, efficiency),
        }
        cautions = [c for e in found for c in e["interacts"]]
        return entry | {"cautions": [caution(c, comparison.name) for c in cautions]}

    def _accuracy(self, comparison: stats.Comparison, domain: str | None) -> Entry:
        found = self._effect(comparison, "accuracy", domain)
        status = accuracy_status(as_effect(found), self._margin)
        return found | {"status": status, "margin": self._margin}

    def _efficiency(self, comparison: stats.Comparison, metric: str, domain: str | None) -> Entry:
        found = self._effect(comparison, metric, domain)
        status = efficiency_status(as_effect(found), log(1 + self._band))
        return found | {"status": status, "band": self._band}

    def _effect(self, comparison: stats.Comparison, metric: str, domain: str | None) -> Entry:
        """The average effect, or where it interacts, the effect with the others off.

        Bytes of optimizations add up; that their ratios do not multiply says nothing of them. So
        weights are judged with the others off, and no interaction is sought in memory.
        """
        (level,) = comparison.levels
        pairs = () if metric in MEMORY else self._pairs
        here = [p for p in pairs if (p["metric"], p["domain"]) == (metric, domain)]
        partners = [p for p in here if level in _levels(p) and is_sure(p)]
        average = self._main[comparison.name, metric, domain]
        others = [x for p in partners for x in _levels(p) if x != level]
        if metric == "weight_bytes":
            others = [x for x in stats.levels_of(self._s.design) if x[0] != level[0]]
        alone = stats.compare(self._s.design, (level,), without=others) if others else None
        if alone is None or not alone.settings:
            return average | {"basis": "average", "interacts": partners}
        found = effect(self._s, alone, metric, domain)
        # One more look at the same family: at most as many comparisons again.
        p = found["p_value"]
        found["family_size"] = average["family_size"]
        found["p_holm"] = None if p is None else min(1.0, p * (average["family_size"] or 1))
        return found | {"basis": "alone", "interacts": partners}

    def _more(self, word: str, accuracy: Entry, efficiency: Sequence[Entry]) -> Entry:
        """How much more measuring would decide what is open; null where nothing is or could be."""
        states = [e["status"] for e in efficiency]
        problems = blocks = None
        hopeless = False
        if word == "undecided" and accuracy["status"] == "undecided":
            problems = more_problems(as_effect(accuracy), self._margin)
            hopeless = problems is None
        if word == "undecided" and "undecided" in states and "better" not in states:
            open_ones = [as_effect(e) for e in efficiency if e["status"] == "undecided"]
            needed = [more_blocks(e, log(1 + self._band)) for e in open_ones]
            known = [n for n in needed if n is not None]
            blocks = max(known) if len(known) == len(needed) else None
            hopeless = hopeless or blocks is None
        return {"more_problems": problems, "more_blocks": blocks, "hopeless": hopeless}
