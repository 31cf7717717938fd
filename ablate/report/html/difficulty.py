"""Accuracy against the difficulty that a domain gives its problems."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from ablate import stats
from ablate.report import words
from ablate.report.html.chart import (
    Chart,
    Figure,
    figure,
    key,
    key_margin,
    label,
    one_menu,
    rounded,
    titled,
)
from ablate.report.html.views import ArmView, Floats, Requests

HEIGHT = 360
MOST_LEVELS = 8
Bins = list[tuple[float, float]]


def difficulty(views: Sequence[ArmView], domains: Sequence[str]) -> Chart | None:
    """A figure a domain with at least two levels: difficulties of two domains do not compare."""
    figures = {d: figure for d in domains if (figure := _figure(views, d))}
    return one_menu("difficulty", "Accuracy against difficulty", "Domain", figures)


def levels(values: Floats) -> Bins:
    """The distinct difficulties, or ranges of them with about equally many problems."""
    known = np.unique(values[np.isfinite(values)])
    if known.size <= MOST_LEVELS:
        return [(float(v), float(v)) for v in known]
    edges = np.unique(np.quantile(values[np.isfinite(values)], np.linspace(0, 1, MOST_LEVELS)))
    inner = [known[(known > a) & (known <= b)] for a, b in pairwise(edges)]
    inner[0] = known[known <= edges[1]]
    return [(float(part[0]), float(part[-1])) for part in inner if part.size]


def _figure(views: Sequence[ArmView], domain: str) -> Figure | None:
    shown = [v for v in views if not v.info.replicate and v.requests.of(domain).any()]
    pooled = [v.requests.difficulty[v.requests.of(domain)] for v in shown]
    bins = levels(np.concatenate(pooled)) if pooled else []
    if len(bins) < 2:
        return None
    traces = [_line(view, domain, bins, _shift(i, len(shown))) for i, view in enumerate(shown)]
    entries = [(v.id, v.style, "") for v in shown]
    return figure(
        traces,
        HEIGHT,
        note="Bars: 95 % intervals over problems, each arm by itself.",
        margin={"l": 64, "r": key_margin(entries), "t": 32, "b": 56},
        annotations=key(entries),
        xaxis=titled(
            "Difficulty (harder →)",
            tickvals=list(range(len(bins))),
            ticktext=[_name(low, high) for low, high in bins],
            range=[-0.5, len(bins) - 0.5],
            showgrid=False,
        ),
        yaxis=titled("Share of right answers", range=[-0.02, 1.02], tickformat=".0%"),
    )


def _shift(number: int, arms: int) -> float:
    """Arms stand side by side, so that their intervals can be told apart."""
    return (number - (arms - 1) / 2) * min(0.12, 0.6 / arms)


def _name(low: float, high: float) -> str:
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"


def _line(view: ArmView, domain: str, bins: Bins, shift: float) -> Figure:
    found = [_share(view.requests, domain, low, high) for low, high in bins]
    known = [(i, e) for i, e in enumerate(found) if e.value is not None]
    values = [e.value or 0.0 for _, e in known]
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "meta": {"arm": view.id},
        "x": [i + shift for i, _ in known],
        "y": rounded(values),
        "line": view.style.line | {"width": 1.5},
        "marker": {"color": view.style.colour, "symbol": view.style.symbol, "size": 8},
        "error_y": {
            "type": "data",
            "symmetric": False,
            "array": rounded([(e.high or 0) - v for (_, e), v in zip(known, values, strict=True)]),
            "arrayminus": rounded(
                [v - (e.low or 0) for (_, e), v in zip(known, values, strict=True)]
            ),
            "color": view.style.colour,
            "thickness": 1.2,
            "width": 0,
        },
        "text": [f"{words.percent(e.value or 0)} of {e.n} problems" for _, e in known],
        "hovertemplate": f"<b>{label(view.id)}</b><br>%{{text}}<extra></extra>",
    }


def _share(requests: Requests, domain: str, low: float, high: float) -> stats.Estimate:
    inside = (requests.difficulty >= low) & (requests.difficulty <= high)
    here = np.flatnonzero(requests.of(domain) & inside)
    right: dict[tuple[str, str, int], list[bool]] = {}
    for i in here:
        right.setdefault((domain, str(requests.problem[i]), 0), []).append(
            bool(requests.correct[i])
        )
    return stats.accuracy({k: sum(v) / len(v) for k, v in right.items()})
