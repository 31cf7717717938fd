"""Accuracy against the token budget: answers cut shorter, with each arm's knee."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ablate.report import words
from ablate.report.html.chart import (
    Chart,
    Figure,
    label,
    one_menu,
    quantiles,
    rounded,
    titled,
)
from ablate.report.html.lines import POINTS, Line, line_chart
from ablate.report.html.views import ArmView

Knees = Mapping[tuple[str, str | None], Mapping[str, Any] | None]
"""(arm, domain) -> the knee of its budget, as in ``results.json``."""


def knees_of(results: Mapping[str, Any]) -> Knees:
    """The knees that were read from single arms' answers."""
    entries = results["behaviours"]["budgets"]
    return {(e["arms"][0], e["domain"]): e["knee"] for e in entries if e["source"] == "cut"}


def budget(views: Sequence[ArmView], domains: Sequence[str], knees: Knees) -> Chart | None:
    """The share of answers that were right within so many output tokens, knees marked."""
    places = [None, *domains] if len(domains) > 1 else [None]
    figures = {
        domain or "all domains": figure
        for domain in places
        if (figure := _budget_figure(views, domain, knees))
    }
    return one_menu("budget", "Accuracy against the token budget", "Domain", figures)


def _budget_figure(views: Sequence[ArmView], domain: str | None, knees: Knees) -> Figure | None:
    lines: list[Line] = []
    for view in views:
        here = view.requests.of(domain)
        asked, longest = int(here.sum()), view.requests.tokens[here]
        if not asked:
            continue
        lengths = view.requests.tokens[here & view.requests.correct]
        final = lengths.size / asked
        x, y = quantiles(lengths, POINTS) if lengths.size else ([], [])
        heights = [0.0, *(0.0 if s is None else s * final for s in y), final]
        ends = [0.0, *x, float(longest.max())]
        lines.append((view, ends, rounded(heights), words.percent(final)))
    if not lines:
        return None
    lines.sort(key=lambda line: -(line[2][-1] or 0))
    drawn = line_chart(
        lines,
        "within %{x:,.0f} tokens: %{y:.1%} right",
        "Numbers beside the names: with the budget of the run. Dots: knees, the smallest budget "
        "within the margin of the best; the bars hold 95 % of resamples.",
        xaxis=titled("Output tokens allowed", rangemode="tozero"),
        yaxis=titled("Share of right answers", rangemode="tozero", tickformat=".0%"),
    )
    marks = [
        mark for view in views for mark in _knee_marks(view, domain, knees.get((view.id, domain)))
    ]
    return drawn | {"data": [*drawn["data"], *marks]}


def _knee_marks(
    view: ArmView, domain: str | None, knee: Mapping[str, Any] | None
) -> Iterable[Figure]:
    """A dot on the arm's line at its knee, with the interval of the knee."""
    here = view.requests.of(domain)
    if knee is None or not here.any():
        return
    within = view.requests.correct[here] & (view.requests.tokens[here] <= knee["budget"])
    low, high = knee["budget"] - knee["low"], knee["high"] - knee["budget"]
    yield {
        "type": "scatter",
        "mode": "markers",
        "meta": {"arm": view.id},
        "x": [knee["budget"]],
        "y": rounded([float(within.mean())]),
        "marker": {"color": view.style.colour, "symbol": view.style.symbol, "size": 9},
        "error_x": {
            "type": "data",
            "symmetric": False,
            "array": [high],
            "arrayminus": [low],
            "color": view.style.colour,
            "thickness": 1.2,
            "width": 3,
        },
        "hovertemplate": f"<b>{label(view.id)}</b><br>knee: %{{x:,.0f}} tokens, %{{y:.1%}} right; "
        f"{100 * knee['sure']:.0f} % of resamples agree<extra></extra>",
    }
