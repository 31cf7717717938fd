"""Effects with their intervals, one line each, and the noise floor as a band behind them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import log10
from typing import Any

from ablate.report import words
from ablate.report.html.chart import (
    Chart,
    Figure,
    clip,
    figure,
    label,
    one_menu,
    ratio_axis,
    titled,
)
from ablate.report.html.palette import Style
from ablate.report.html.scatter import EFFICIENCY, better

ROW = 21
NUMBERS = 178
"""Pixels at the right where the numbers stand."""


@dataclass(frozen=True)
class Row:
    """An arm's effect on the axis of the chart; ``text`` is the same in words."""

    arm: str
    value: float
    low: float | None
    high: float | None
    text: str
    noise: bool


@dataclass(frozen=True)
class Group:
    """Rows under a heading. ``floor``: the half width of the noise band, None if unknown."""

    title: str
    rows: tuple[Row, ...]
    floor: float | None


def forest(results: Mapping[str, Any], style: Mapping[str, Style]) -> Chart | None:
    """Accuracy by domain, and efficiency by metric."""
    figures: dict[str, Figure] = {}
    if groups := list(_accuracy(results)):
        figures["Accuracy by domain"] = _accuracy_figure(groups, results, style)
    if groups := list(_efficiency(results)):
        figures["Speed and memory"] = _efficiency_figure(groups, style)
    return one_menu("forest", "Effects with their intervals", "Effect on", figures)


def _accuracy(results: Mapping[str, Any]) -> Iterator[Group]:
    floor = (results["noise_floor"] or {}).get("accuracy") or {"overall": None, "domains": {}}
    domains = results["run"]["domains"]
    for name in [None, *domains] if len(domains) > 1 else domains:
        found = {
            c["arm"]: c["accuracy"]["overall"] if name is None else c["accuracy"]["domains"][name]
            for c in results["contrasts"]
        }
        rows = tuple(_points_row(arm, e) for arm, e in found.items() if e["value"] is not None)
        limit = floor["overall"] if name is None else floor["domains"].get(name)
        if rows:
            yield Group(name or "all domains", rows, None if limit is None else 100 * limit)


def _points_row(arm: str, e: Mapping[str, Any]) -> Row:
    text = f"{words.points(e['value'])} {words.interval(e['low'], e['high'], signed=True)}"
    low, high = (None if e[k] is None else 100 * e[k] for k in ("low", "high"))
    return Row(arm, 100 * e["value"], low, high, text, bool(e.get("within_noise")))


def _efficiency(results: Mapping[str, Any]) -> Iterator[Group]:
    floor = (results["noise_floor"] or {}).get("ratios") or {}
    for name, title in EFFICIENCY.items():
        found = {c["arm"]: c["ratios"].get(name) for c in results["contrasts"]}
        rows = tuple(_ratio_row(arm, name, e) for arm, e in found.items() if e and e["value"])
        limit = floor.get(name)
        if rows:
            yield Group(title, rows, log10(limit) if limit else None)


def _ratio_row(arm: str, name: str, e: Mapping[str, Any]) -> Row:
    value, low, high = better(name, e)
    least, most = (None if end is None else log10(end) for end in (low, high))
    noise = bool(e.get("within_noise"))
    return Row(arm, log10(value), least, most, words.change(name, e)[0], noise)


def _accuracy_figure(
    groups: Sequence[Group], results: Mapping[str, Any], style: Mapping[str, Style]
) -> Figure:
    ends = [abs(v) for g in groups for r in g.rows for v in (r.value, r.low, r.high) if v]
    margin = results["run"].get("margins", {}).get("accuracy")
    reach = 1.06 * max([*ends, 1.0, 120 * margin if margin else 0.0])
    axis = {"range": [-reach, reach], "ticksuffix": ""} | titled(
        "Percentage points (← worse, better →)"
    )
    if not margin:
        return _figure(groups, style, axis, [], "")
    note = f"Dashed line: the loss that the recipe still accepts ({100 * margin:g} points)."
    return _figure(groups, style, axis, [_rule(-100 * margin, "var(--worse)", "dash")], note)


def _efficiency_figure(groups: Sequence[Group], style: Mapping[str, Style]) -> Figure:
    ends = [10**v for g in groups for r in g.rows for v in _shown(r)]
    axis = ratio_axis(ends) | titled("Times better (← worse, better →)")
    return _figure(groups, style, axis, [], "")


def _shown(row: Row) -> list[float]:
    """What decides the range: the value, and its interval unless it is beyond all measure."""
    ends = [v for v in (row.low, row.high) if v is not None and abs(v - row.value) < 1]
    return [row.value, *ends]


def _figure(
    groups: Sequence[Group],
    style: Mapping[str, Style],
    axis: Figure,
    rules: Iterable[Figure],
    note: str,
) -> Figure:
    rows, heads, bands, y = [], [], [], 0.0
    for group in groups:
        heads.append((y, group.title))
        top = y + 0.5
        for row in group.rows:
            y += 1
            rows.append((y, row))
        if group.floor:
            bands.append(_band(group.floor, top, y + 0.5))
        y += 1.35
    named = [(at, f"<b>{label(clip(title, 30))}</b>") for at, title in heads]
    named += [(at, label(clip(row.arm, 30))) for at, row in rows]
    return figure(
        [_dots([r for r in rows if r[1].arm == arm], style[arm]) for arm in _arms(groups)],
        int(ROW * (y + 0.3)) + 64,
        note=note,
        margin={"l": 20, "r": NUMBERS, "t": 64, "b": 12},
        xaxis=axis | {"side": "top"},
        yaxis={
            "range": [y - 0.4, -0.7],
            "tickvals": [at for at, _ in named],
            "ticktext": [text for _, text in named],
            "tickfont": {"color": "var(--ink)", "size": 12},
            "showgrid": False,
            "linecolor": "rgba(0,0,0,0)",
        },
        shapes=[*bands, _rule(0, "var(--baseline)", "solid"), *rules],
        annotations=[_number(at, row) for at, row in rows],
    )


def _arms(groups: Sequence[Group]) -> list[str]:
    return list(dict.fromkeys(row.arm for group in groups for row in group.rows))


def _dots(rows: Sequence[tuple[float, Row]], style: Style) -> Figure:
    """One arm's effects. Within the noise floor a mark is hollow."""
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [r.value for _, r in rows],
        "y": [at for at, _ in rows],
        "marker": {
            "color": ["var(--surface)" if r.noise else style.colour for _, r in rows],
            "line": {"color": style.colour, "width": 2},
            "symbol": style.symbol,
            "size": 9,
        },
        "error_x": {
            "type": "data",
            "symmetric": False,
            "array": [0 if r.high is None else r.high - r.value for _, r in rows],
            "arrayminus": [0 if r.low is None else r.value - r.low for _, r in rows],
            "color": style.colour,
            "thickness": 2,
            "width": 0,
        },
        "text": [f"<b>{label(r.arm)}</b><br>{label(r.text)}" for _, r in rows],
        "hovertemplate": "%{text}<extra></extra>",
    }


def _number(at: float, row: Row) -> Figure:
    text = f"{row.text}{' ≈ noise' if row.noise else ''}"
    return {
        "name": "aside",
        "text": label(text),
        "x": 1,
        "xref": "paper",
        "xanchor": "left",
        "xshift": 10,
        "y": at,
        "showarrow": False,
        "align": "left",
        "font": {"color": "var(--muted)" if row.noise else "var(--ink)", "size": 11.5},
    }


def _band(half: float, top: float, bottom: float) -> Figure:
    return {
        "type": "rect",
        "layer": "below",
        "x0": -half,
        "x1": half,
        "y0": top,
        "y1": bottom,
        "fillcolor": "var(--band)",
        "line": {"width": 0},
    }


def _rule(x: float, colour: str, dash: str) -> Figure:
    return {
        "type": "line",
        "layer": "below",
        "yref": "paper",
        "y0": 0,
        "y1": 1,
        "x0": x,
        "x1": x,
        "line": {"color": colour, "width": 1, "dash": dash},
    }
