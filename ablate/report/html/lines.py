"""Charts with a line an arm: latency distributions and KV use."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from ablate.report import words
from ablate.report.html.chart import (
    KEY_LINE,
    Chart,
    Choice,
    Figure,
    figure,
    key,
    key_margin,
    label,
    log_axis,
    one_menu,
    quantiles,
    rounded,
    titled,
)
from ablate.report.html.views import ArmView, Floats
from ablate.types import Usage

HEIGHT = 360
POINTS = 160
"""Points of one line; a longer sample is thinned."""
MANY = 30
"""A range over this factor is drawn on a log scale."""

_LATENCY_TITLES = {
    "e2el": "Whole answer (E2E)",
    "ttft": "First token (TTFT)",
    "ttfvt": "First visible token (TTFVT)",
    "tpot": "Per output token (TPOT)",
}
Line = tuple[ArmView, Sequence[float | None], Sequence[float | None], str]
"""An arm, x, y, and its number in the key."""


def latency(views: Sequence[ArmView], domains: Sequence[str]) -> Chart | None:
    """The share of requests that were served within a time: a figure a latency and domain."""
    places = [None, *domains] if len(domains) > 1 else [None]
    figures = {
        (name, place): _latency_figure(views, name, place)
        for name in _LATENCY_TITLES
        for place in places
    }
    names = [n for n in _LATENCY_TITLES if figures[n, None]]
    if not names:
        return None
    choices = [Choice("Time to", tuple(_LATENCY_TITLES[n] for n in names))]
    if len(places) > 1:
        choices.append(Choice("Domain", ("all domains", *domains)))
    chosen = {
        "|".join(map(str, [i, j][: len(choices)])): figures[name, place] or _nothing()
        for i, name in enumerate(names)
        for j, place in enumerate(places)
    }
    return Chart("latency", "Latency distributions", tuple(choices), chosen)


def _nothing() -> Figure:
    return figure([], HEIGHT, note="Nothing was measured here.")


def _latency_figure(views: Sequence[ArmView], name: str, domain: str | None) -> Figure | None:
    samples = {view.id: _seconds(view, name, domain) for view in views}
    known = sorted((v for v in views if samples[v.id].size), key=lambda v: _half(samples[v.id]))
    if not known:
        return None
    pooled = np.concatenate([samples[v.id] for v in known])
    scale, unit = (1e3, "ms") if np.median(pooled) < 2 else (1.0, "s")
    lines: list[Line] = []
    for view in known:
        x, y = quantiles(samples[view.id] * scale, POINTS)
        half = words.digits(_half(samples[view.id]) * scale)
        lines.append((view, x, y, f"{half} {unit}"))
    most = max(samples[v.id].size for v in known)
    low, high = (float(np.quantile(pooled, q)) * scale for q in (0.005, 0.995))
    far = low > 0 and high / low > MANY
    note = (
        f"Numbers beside the names: medians. Requests of all counted blocks, up to {most:,} an arm"
    )
    note += f"; lines drawn through {POINTS} of them." if most > POINTS else "."
    return line_chart(
        lines,
        f"{unit}: %{{x}}<br>%{{y:.1%}} of requests",
        note,
        xaxis=titled(f"{_LATENCY_TITLES[name]}, {unit}{' (log scale)' if far else ''}")
        | (log_axis(pooled * scale) if far else {"rangemode": "tozero"}),
        yaxis=titled("Share of requests served", range=[0, 1.02], tickformat=".0%"),
    )


def _seconds(view: ArmView, name: str, domain: str | None) -> Floats:
    requests = view.requests
    values = requests.latencies[name][requests.of(domain) & requests.timed]
    known: Floats = values[np.isfinite(values)]
    return known


def _half(values: Floats) -> float:
    return float(np.median(values))


_SERIES: Mapping[str, tuple[str, Callable[[Usage], float | None]]] = {
    "Tokens held": ("tokens", lambda u: u.kv_tokens),
    "Memory that they need": ("MB", lambda u: _ratio(u.kv_bytes, 1e6)),
    "Memory taken": ("MB", lambda u: _ratio(u.kv_allocated_bytes, 1e6)),
    "Share of the budget": ("", lambda u: _ratio(u.kv_bytes, u.kv_budget_bytes)),
    "Requests running": ("requests", lambda u: u.running),
    "Requests waiting": ("requests", lambda u: u.waiting),
}


def kv_use(views: Sequence[ArmView]) -> Chart | None:
    """Telemetry over time, from one block an arm."""
    known = [v for v in views if v.usage]
    figures = {
        title: _usage_figure(known, title, unit, read)
        for title, (unit, read) in _SERIES.items()
        if known and all(read(u) is not None for v in known for u in v.usage)
    }
    return one_menu("kv", "KV cache over time", "Show", figures)


def _ratio(part: float | None, whole: float | None) -> float | None:
    return None if part is None or not whole else part / whole


def _usage_figure(
    views: Sequence[ArmView], title: str, unit: str, read: Callable[[Usage], float | None]
) -> Figure:
    lines: list[tuple[float, Line]] = []
    for view in views:
        values = np.array([read(u) for u in view.usage], dtype=np.float64)
        times = np.array([u.time for u in view.usage], dtype=np.float64)
        kept, peak = extremes(values, POINTS), float(values.max())
        number = words.percent(peak) if not unit else f"{words.digits(peak)} {unit}"
        lines.append((peak, (view, rounded(times[kept]), rounded(values[kept]), number)))
    lines.sort(key=lambda line: -line[0])
    thinned = any(len(v.usage) > 2 * POINTS for v in views)
    note = "Numbers beside the names: peaks. The first undisturbed block of each arm"
    note += "; of every stretch of time its least and its most are drawn." if thinned else "."
    form = ".0%" if not unit else None
    return line_chart(
        [line for _, line in lines],
        f"at %{{x:.2f}} s: %{{y{':.1%' if not unit else ':,.4~g'}}} {unit}",
        note,
        xaxis=titled("Seconds from the start of measuring", rangemode="tozero"),
        yaxis=titled(f"{title}, {unit}" if unit else title, rangemode="tozero", tickformat=form),
        shape="hv",
    )


def extremes(values: Floats, parts: int) -> list[int]:
    """Places of the least and the most of ``parts`` stretches, so that no peak is lost."""
    if values.size <= 2 * parts:
        return list(range(values.size))
    edges = np.linspace(0, values.size, parts + 1).astype(int)
    found = {0, values.size - 1}
    for a, b in pairwise(edges):
        found |= {int(a + values[a:b].argmin()), int(a + values[a:b].argmax())}
    return sorted(found)


def line_chart(
    lines: Iterable[Line], hover: str, note: str, shape: str = "hv", **axes: Any
) -> Figure:
    """Lines with their key at the right."""
    drawn = list(lines)
    traces = [
        {
            "type": "scatter",
            "mode": "lines",
            "meta": {"arm": view.id},
            "x": list(x),
            "y": list(y),
            "line": view.style.line | {"shape": shape},
            "hovertemplate": f"<b>{label(view.id)}</b><br>{hover}<extra></extra>",
        }
        for view, x, y, _ in drawn
    ]
    entries = [(view.id, view.style, number) for view, _, _, number in drawn]
    height = max(HEIGHT, KEY_LINE * len(entries) + 96)
    margin = {"l": 64, "r": key_margin(entries), "t": 32, "b": 56}
    return figure(traces, height, note=note, margin=margin, annotations=key(entries), **axes)
