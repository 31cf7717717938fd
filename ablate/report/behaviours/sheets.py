"""Behaviours as tables, for report.md and report.html; the terminal has enough without them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ablate.report import words
from ablate.report.behaviours.effort import effort_sheet
from ablate.report.behaviours.late import late_sheet
from ablate.report.behaviours.models import models_sheet
from ablate.report.cells import EMPTY, Cell, Sheet

Results = Mapping[str, Any]

KV = {
    "mean_kv_cache_usage": "Mean",
    "peak_kv_cache_usage": "Peak",
    "std_kv_cache_usage": "Deviation",
    "cv_kv_tokens": "Variation",
    "max_drop_kv_cache_usage": "Drop in a second",
    "kv_nearly_full_share": "Time over 90 %",
    "num_preemptions": "Preemptions",
}
KV_AID = (
    "Shares of the KV cache's budget; means over blocks. Deviation: standard deviation over time; "
    "variation: that of tokens held / their mean. Time over 90 %: share of the running time."
)
STEADY = {
    "steady_start": "From",
    "steady_end": "To",
    "steady_requests": "Requests",
    "steady_mean_ttft_ms": "First token",
    "steady_mean_tpot_ms": "Per token",
    "steady_mean_e2el_ms": "Whole answer",
    "backlog_growth": "Piling up",
}
STEADY_AID = (
    "From the end of the warm-up transient (MSER-5 on the requests under way) to the last arrival; "
    "means over blocks. Piling up: share of the arriving requests by which those under way grow."
)
THINKING = {
    "mean_output_tokens": "Tokens an answer",
    "thinking_share": "Thinking",
    "visible_token_rate": "Visible tokens a second",
    "output_throughput": "All tokens a second",
    "requests_without_visible": "Never visible",
}
THINKING_AID = (
    "Thinking: share of the output tokens that come before the answer. Visible: those after it, by "
    "running time. Never visible: answers that did not get past their reasoning. Means over blocks."
)
COSTS = {
    "energy_joules": "Energy, J",
    "mean_power_watts": "Power, W",
    "joules_per_output_token": "J per token",
    "joules_per_correct": "J per right answer",
    "cost_per_million_output_tokens": "Money per 1M tokens",
    "cost_per_correct": "Money per right answer",
}
COSTS_AID = (
    "Energy and price are the whole machine's while it measured; money in the currency of the "
    "recipe's price. Means over blocks."
)
LENGTH_AID = "Mean output tokens against the baseline [95 % interval over blocks]."
BUDGET_AID = (
    "The knee: the smallest token budget whose accuracy is within the margin of the best budget's. "
    "In brackets: where 95 % of resamples over problems have it, and how many agree. Read from one "
    "arm's answers, cut shorter, which is exact for those that ended within the smaller budget; "
    "one that did not counts as not right."
)
SERIES_AID = (
    "Arms that differ in their token budget alone. Cut off: answers that reached it. Overthinking: "
    "the largest budget is surely less accurate than a smaller one (paired, adjusted)."
)


def behaviour_sheets(results: Results) -> list[Sheet]:
    """Every table of which something was measured."""
    return [
        *models_sheet(results),
        *late_sheet(results),
        *effort_sheet(results),
        *_series_sheets(results),
        *_knee_sheet(results),
        *_length_sheet(results),
        *_metric_sheet(results, "Thinking", THINKING, THINKING_AID),
        *_metric_sheet(results, "KV cache over time", KV, KV_AID),
        *_metric_sheet(results, "Steady state", STEADY, STEADY_AID),
        *_metric_sheet(results, "Energy and money", COSTS, COSTS_AID),
    ]


def _metric_sheet(
    results: Results, title: str, columns: Mapping[str, str], aid: str
) -> list[Sheet]:
    """One row an arm that has any of the metrics; only columns that some arm has."""
    arms = [a for a in results["arms"] if any(a["summary"].get(n) is not None for n in columns)]
    names = [n for n in columns if any(a["summary"].get(n) is not None for a in arms)]
    rows = tuple(
        (a["id"], tuple(Cell((words.quantity(n, a["summary"].get(n)),)) for n in names))
        for a in arms
    )
    return [Sheet(title, tuple(columns[n] for n in names), rows, aid)] if rows else []


def _length_sheet(results: Results) -> list[Sheet]:
    """What each arm does to the length of answers, domain by domain."""
    domains = results["run"]["domains"]
    rows = tuple(
        (c["arm"], tuple(_length(c["domain_ratios"][d]["mean_output_tokens"]) for d in domains))
        for c in results["contrasts"]
    )
    return [Sheet("Answer length by domain", tuple(domains), rows, LENGTH_AID)] if rows else []


def _length(ratio: Mapping[str, Any]) -> Cell:
    return Cell(words.change("mean_output_tokens", ratio))


def _knee_sheet(results: Results) -> list[Sheet]:
    """One row an arm, from its own answers cut shorter."""
    cut = [e for e in results["behaviours"]["budgets"] if e["source"] == "cut"]
    found = {(e["arms"][0], e["domain"]): e["knee"] for e in cut}
    places = _places(cut)
    rows = tuple(
        (arm, tuple(_knee(found.get((arm, place))) for place in places))
        for arm in dict.fromkeys(arm for arm, _ in found)
    )
    heads = tuple(place or "all" for place in places)
    return [Sheet("Knee of the token budget", heads, rows, BUDGET_AID)] if rows else []


def _places(entries: Iterable[Mapping[str, Any]]) -> list[str | None]:
    return list(dict.fromkeys(e["domain"] for e in entries))


def _knee(knee: Mapping[str, Any] | None) -> Cell:
    if knee is None:
        return EMPTY
    between = f"[{knee['low']}, {knee['high']}]"
    return Cell((f"{knee['budget']:,} tokens", f"{between} {100 * knee['sure']:.0f} %"))


def _series_sheets(results: Results) -> list[Sheet]:
    """A table for every set of arms that differ in their budget alone, one row a budget."""
    entries = [e for e in results["behaviours"]["budgets"] if e["source"] == "arms"]
    names = list(dict.fromkeys(tuple(e["arms"]) for e in entries))
    sheets = []
    for number, arms in enumerate(names, 1):
        own = [e for e in entries if tuple(e["arms"]) == arms]
        title = "Token budget" if len(names) == 1 else f"Token budget {number}"
        sheets.append(Sheet(title, _series_heads(own), _series_rows(own), SERIES_AID))
    return sheets


def _series_heads(entries: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    return (*(e["domain"] or "all" for e in entries), "Cut off", "Tokens an answer", "Running time")


def _series_rows(entries: Sequence[Mapping[str, Any]]) -> tuple[tuple[str, tuple[Cell, ...]], ...]:
    whole = entries[0]
    rows = []
    for place, point in enumerate(whole["points"]):
        cells = [_accuracy(e["points"][place]["accuracy"]) for e in entries]
        seconds = point["seconds"]
        cells += [
            Cell((words.percent(point["cut_off"]),)),
            Cell((words.digits(point["tokens"]),)),
            EMPTY if seconds is None else Cell((f"{words.digits(seconds)} s",)),
        ]
        rows.append((f"{point['budget']:,} tokens: {point['arm']}", tuple(cells)))
    rows.append(("knee", (*(_knee(e["knee"]) for e in entries), *[Cell(("",))] * 3)))
    rows.append(("overthinking", (*(_overthinking(e) for e in entries), *[Cell(("",))] * 3)))
    return tuple(rows)


def _accuracy(estimate: Mapping[str, Any]) -> Cell:
    return Cell(
        (
            words.percent(estimate["value"]),
            words.interval(estimate["low"], estimate["high"], signed=False),
        )
    )


def _overthinking(entry: Mapping[str, Any]) -> Cell:
    """The smaller budget that did best against the largest, with the adjusted p-value."""
    worst = min(entry["largest_against"], key=lambda c: float(c["value"]))
    word = "shown" if entry["overthinking"] else "not shown"
    against = f"{words.points(worst['value'])} against {worst['budget']:,}"
    return Cell((word, against, f"p {words.p_value(worst['p_holm'])}"))
