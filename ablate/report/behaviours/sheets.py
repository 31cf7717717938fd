"""Behaviours as tables, for report.md and report.html; the terminal has enough without them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ablate.report import words
from ablate.report.behaviours.budget_sheets import knee_sheet, series_sheets
from ablate.report.behaviours.effort import effort_sheet
from ablate.report.behaviours.late import late_sheet
from ablate.report.behaviours.models import models_sheet
from ablate.report.cells import Cell, Sheet

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


def behaviour_sheets(results: Results) -> list[Sheet]:
    """Every table of which something was measured."""
    return [
        *models_sheet(results),
        *late_sheet(results),
        *effort_sheet(results),
        *series_sheets(results),
        *knee_sheet(results),
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
