"""The recipe's claims, held against the measurements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from math import log
from typing import Any

from ablate import stats
from ablate.metrics import NAMES
from ablate.report import words
from ablate.report.contrasts import DOMAIN_RATIO_METRICS, RATIO_METRICS, Entry
from ablate.report.effects import Study, effect
from ablate.report.judge import Workload, as_effect, band_of, margin_of, speed_metric
from ablate.stats.claims import Answer, above, all_of, equivalent, non_inferior
from ablate.stats.verdict import Effect
from ablate.types import Claim

ALIASES: Mapping[str, str] = {
    "throughput": "request_throughput",
    "request_throughput": "request_throughput",
    "output_throughput": "output_throughput",
    "max_rate": "max_request_rate",
    "e2e_latency": "mean_e2el_ms",
    "ttft": "mean_ttft_ms",
    "ttfvt": "mean_ttfvt_ms",
    "tpot": "mean_tpot_ms",
    "itl": "mean_itl_ms",
    "output_tokens": "mean_output_tokens",
    "weights": "weight_bytes",
    "kv_cache": "peak_kv_bytes",
    "kv_swings": "std_kv_bytes",
    "e2e_variation": "cv_e2el",
    "memory": "peak_rss_bytes",
}
"""A claim's short name of a metric -> the metric. A metric's own name does, too."""

_ACCURACY = ("non_inferior", "more_accurate", "less_accurate")
_INTERACTIONS = ("interaction", "no_interaction")
_DOWN = ("smaller", "shorter", "slower", "less_accurate")
_ANY = ("interaction", "no_interaction", "no_difference")


@dataclass(frozen=True)
class _Test:
    """A claim with its metric and limits settled."""

    claim: Claim
    metric: str
    margin: float
    band: float


def judge_claims(s: Study, workload: Workload) -> list[Entry]:
    """Each claim of the recipe: supported, refuted or undecided, with the numbers behind it."""
    return [_judged(s, claim, workload) for claim in s.info.claims]


def _judged(s: Study, claim: Claim, workload: Workload) -> Entry:
    test = _Test(
        claim,
        metric_of(claim, workload),
        claim.margin if claim.margin is not None else margin_of(s.info),
        log(1 + (claim.margin if claim.margin is not None else band_of(s.info))),
    )
    comparison, problem = _comparison(s, claim)
    domains = s.info.domains if claim.domain == "*" else (claim.domain,)
    problem = problem or _unmeasurable(test, s, domains)
    shown = comparison if not problem else None
    parts = [_part(s, shown, test, d) for d in domains] if shown else []
    status = all_of([p["status"] for p in parts])
    return {
        **asdict(claim),
        "metric": test.metric,
        "text": sentence(claim, test.metric),
        "status": status,
        "reason": problem or "; ".join(p["reason"] for p in parts),
        "parts": parts,
    }


def metric_of(claim: Claim, workload: Workload) -> str:
    """The metric that a claim is about."""
    if claim.metric:
        return ALIASES.get(claim.metric, claim.metric)
    if claim.claim in _ACCURACY or claim.claim in _ANY:
        return "accuracy"
    if claim.claim in ("shorter", "longer"):
        return "mean_output_tokens"
    if claim.claim in ("smaller", "larger"):
        return "weight_bytes"
    return speed_metric(workload, claim.domain)


def sentence(claim: Claim, metric: str) -> str:
    """The claim in plain words."""
    said = claim.claim.replace("_", " ")
    names = claim.factor if claim.other is None else f"{claim.factor} and {claim.other}"
    where = {None: "", "*": ", in every domain"}.get(claim.domain, f", in {claim.domain}")
    by = "" if claim.by is None else f" by at least {claim.by:g}"
    return f"{names}: {said} in {metric}{by}{where}"


def _comparison(s: Study, claim: Claim) -> tuple[stats.Comparison | None, str]:
    """What shows the claim, or why nothing does."""
    names = [claim.factor] + ([claim.other] if claim.other else [])
    levels = []
    for name in names:
        found = [x for x in _levels(s) if name in (stats.level_name(x), x[0])]
        if len(found) != 1:
            return None, f"{name} is no level that was measured"
        levels += found
    if levels != sorted(levels, key=_levels(s).index):
        levels.reverse()
    comparison = stats.compare(s.design, levels)
    if not comparison.settings:
        return None, "no arms with results differ in just that"
    return comparison, ""


def _levels(s: Study) -> list[tuple[str, str]]:
    every = {arm.id: arm.levels for arm in s.info.arms}
    return stats.levels_of(every)


def _unmeasurable(test: _Test, s: Study, domains: Sequence[str | None]) -> str:
    known = ("accuracy", *(RATIO_METRICS if domains == (None,) else DOMAIN_RATIO_METRICS))
    if test.metric not in known:
        where = "" if domains == (None,) else " of one domain"
        return f"{test.metric} is not compared{where}"
    missing = [d for d in domains if d is not None and d not in s.info.domains]
    return f"{missing[0]} is no domain of this run" if missing else ""


def _part(s: Study, comparison: stats.Comparison, test: _Test, domain: str | None) -> Entry:
    found = effect(s, comparison, test.metric, domain)
    turned = as_effect(found)
    if test.claim.claim not in _ANY and test.metric != "accuracy" and not _faster_is_up(test):
        turned = _mirrored(turned)
    answer = _answer(test, turned)
    keep = ("value", "low", "high", "n", "method", "unit", "p_value", "within_noise")
    return {
        "domain": domain,
        "status": answer,
        "reason": _reason(found, answer, domain),
        **{key: found[key] for key in keep},
    }


def _faster_is_up(test: _Test) -> bool:
    """Effects are turned so that up is better; does the claim speak of better metrics?"""
    higher = NAMES[test.metric].better == "higher"
    if test.claim.claim in ("faster", "slower"):
        return True
    # smaller, larger, shorter, longer speak of the number itself: up if it grows.
    return higher


def _answer(test: _Test, found: Effect) -> Answer:
    kind, accuracy = test.claim.claim, test.metric == "accuracy"
    limit = test.margin if accuracy else test.band
    if kind == "non_inferior":
        return non_inferior(found, limit)
    if kind in ("no_difference", "no_interaction"):
        return equivalent(found, limit)
    if kind == "interaction":
        up, down = above(found, 0.0, limit), above(_mirrored(found), 0.0, limit)
        return "supported" if "supported" in (up, down) else _both_refute(found, limit)
    bound = 0.0
    if test.claim.by is not None:
        bound = test.claim.by if accuracy else log(test.claim.by)
    return above(_mirrored(found) if kind in _DOWN else found, bound, 0.0 if accuracy else limit)


def _both_refute(found: Effect, limit: float) -> Answer:
    return "refuted" if equivalent(found, limit) == "supported" else "undecided"


def _mirrored(e: Effect) -> Effect:
    value, low, high = (None if v is None else -v for v in (e.value, e.low, e.high))
    return replace(e, value=value, low=high, high=low)


def _reason(found: Mapping[str, Any], answer: Answer, domain: str | None) -> str:
    where = f"{domain}: " if domain else ""
    if found["value"] is None:
        return f"{where}there is nothing to compare"
    if found["unit"] == "share":
        interval = words.interval(found["low"], found["high"], signed=True)
        said = f"{words.points(found['value'])} points {interval}"
    else:
        said = " ".join(words.change(found["metric"], found))
    noise = ", no more than the baseline run twice" if found["within_noise"] else ""
    return f"{where}{said}{noise}: {answer}"
