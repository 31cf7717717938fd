"""Accuracy against efficiency, with intervals and the Pareto front."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import log10
from typing import Any

from ablate.metrics import NAMES
from ablate.report import words
from ablate.report.html.chart import Chart, Figure, figure, label, one_menu, ratio_axis, titled
from ablate.report.html.palette import Style

EFFICIENCY: Mapping[str, str] = {
    "output_throughput": "Output throughput (tokens per second)",
    "request_throughput": "Request throughput (requests per second)",
    "max_request_rate": "Highest rate under the bounds (requests per second)",
    "running_time": "Running time",
    "mean_e2el_ms": "Time to the whole answer",
    "mean_ttft_ms": "Time to the first token",
    "mean_ttfvt_ms": "Time to the first visible token",
    "mean_tpot_ms": "Time per token",
    "weight_bytes": "Memory of the weights",
    "peak_kv_bytes": "KV cache, peak",
    "peak_rss_bytes": "Memory of the process, peak",
}
HEIGHT, WIDTH, NARROW = 440, 860, 350
_LETTER, _LINE = 7, 16


@dataclass(frozen=True)
class Point:
    """An arm: how many times better than the baseline (x), share of right answers (y)."""

    arm: str
    x: float
    x_low: float | None
    x_high: float | None
    y: float
    y_low: float | None
    y_high: float | None
    hover: str


def scatter(results: Mapping[str, Any], style: Mapping[str, Style]) -> Chart | None:
    """One figure a metric that some arm was compared on."""
    figures = {
        title: _figure(points, style, title)
        for name, title in EFFICIENCY.items()
        if len(points := list(_points(results, name))) > 1
    }
    return one_menu("scatter", "Accuracy against efficiency", "Efficiency", figures)


def better(name: str, estimate: Mapping[str, Any]) -> tuple[float, float | None, float | None]:
    """A ratio with its interval, turned so that more is better."""
    value, low, high = (estimate[k] for k in ("value", "low", "high"))
    if NAMES[name].better == "higher":
        return value, low, high
    return 1 / value, 1 / high if high else None, 1 / low if low else None


def front(points: Sequence[Point]) -> list[Point]:
    """The points that none beats: as good in both, better in one. From left to right."""
    return sorted(
        (p for p in points if not any(_beats(other, p) for other in points)), key=lambda p: p.x
    )


def _beats(one: Point, other: Point) -> bool:
    return one.x >= other.x and one.y >= other.y and (one.x, one.y) != (other.x, other.y)


def _points(results: Mapping[str, Any], name: str) -> Iterator[Point]:
    """The baseline at (1, its accuracy), then every arm at its change against it."""
    arms = {arm["id"]: arm for arm in results["arms"]}
    own = arms[results["baseline"]]["accuracy"]["overall"] if results["baseline"] else None
    if own is None or own["value"] is None:
        return
    start = own["value"]
    share = f"accuracy {words.percent(start)}"
    yield Point(results["baseline"], 1.0, None, None, start, None, None, share)
    for contrast in results["contrasts"]:
        estimate, change = contrast["ratios"].get(name), contrast["accuracy"]["overall"]
        if not estimate or not estimate["value"] or change["value"] is None:
            continue
        x, x_low, x_high = better(name, estimate)
        low, high = change["low"], change["high"]
        moved = f"{words.points(change['value'])} {words.interval(low, high, signed=True)} points"
        hover = f"accuracy {moved}<br>{' '.join(words.change(name, estimate))}"
        y_low, y_high = (None if e is None else min(1.0, max(0.0, start + e)) for e in (low, high))
        yield Point(
            contrast["arm"], x, x_low, x_high, start + change["value"], y_low, y_high, hover
        )


def _figure(points: Sequence[Point], style: Mapping[str, Style], title: str) -> Figure:
    xs = [v for p in points for v in (p.x, p.x_low, p.x_high) if v]
    ys = [v for p in points for v in (p.y, p.y_low, p.y_high) if v is not None]
    xaxis, low, high = ratio_axis(xs), min(ys), min(1.0, max(ys))
    room = max(0.08 * (high - low), 0.005)
    yaxis: Figure = {"range": [low - room, high + room], "tickformat": ",.1~%"}
    best = front(points)
    wide, narrow = (_labels(points, xaxis["range"], yaxis["range"], w) for w in (WIDTH, NARROW))
    drawn = figure(
        [_front_line(best), *(_mark(p, style[p.arm]) for p in points)],
        HEIGHT,
        margin={"l": 56, "r": 24, "t": 30, "b": 52},
        note=_note(points, best),
        xaxis=xaxis | titled(f"{title}: times better than the baseline →"),
        yaxis=yaxis | titled("Share of right answers →"),
        shapes=[_rule(points[0].y), _rule_up()],
        annotations=wide,
    )
    return drawn | {"narrow": narrow}


def _note(points: Sequence[Point], best: Sequence[Point]) -> str:
    kept = {p.arm for p in best}
    beaten = [
        f"{p.arm} (by {max((o for o in best if _beats(o, p)), key=lambda o: (o.y, o.x)).arm})"
        for p in points
        if p.arm not in kept
    ]
    if not beaten:
        return "No arm is beaten on both."
    return f"Beaten on both counts, going by the points alone: {', '.join(beaten)}."


def _front_line(best: Sequence[Point]) -> Figure:
    """A staircase: between two arms of the front nothing better is known than the lower one."""
    return {
        "type": "scatter",
        "mode": "lines",
        "x": [log10(p.x) for p in best],
        "y": [p.y for p in best],
        "line": {"color": "var(--front)", "width": 6, "shape": "vh"},
        "opacity": 0.35,
        "hoverinfo": "skip",
    }


def _mark(p: Point, style: Style) -> Figure:
    x = log10(p.x)
    return {
        "type": "scatter",
        "mode": "markers",
        "meta": {"arm": p.arm},
        "x": [x],
        "y": [p.y],
        "marker": {"color": style.colour, "symbol": style.symbol, "size": 13},
        "error_x": _bar(x, _log(p.x_low), _log(p.x_high), style),
        "error_y": _bar(p.y, p.y_low, p.y_high, style),
        "hovertemplate": f"<b>{label(p.arm)}</b><br>{p.hover}<extra></extra>",
    }


def _log(value: float | None) -> float | None:
    return log10(value) if value else None


def _bar(value: float, low: float | None, high: float | None, style: Style) -> Figure:
    if low is None or high is None:
        return {"visible": False}
    return {
        "type": "data",
        "symmetric": False,
        "array": [high - value],
        "arrayminus": [value - low],
        "color": style.colour,
        "thickness": 1.5,
        "width": 0,
    }


def _rule(y: float) -> Figure:
    return {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": y, "y1": y, "line": _THIN}


def _rule_up() -> Figure:
    return {"type": "line", "yref": "paper", "y0": 0, "y1": 1, "x0": 0, "x1": 0, "line": _THIN}


_THIN = {"color": "var(--baseline)", "width": 1, "dash": "dot"}
Box = tuple[float, float, float, float]


def _labels(
    points: Sequence[Point], xs: Sequence[float], ys: Sequence[float], width: int
) -> list[dict[str, Any]]:
    """Every point's name at the side of it that is freest, in a chart ``width`` pixels wide."""

    def pixels(x: float, y: float) -> tuple[float, float]:
        across = (log10(x) - xs[0]) / (xs[1] - xs[0]) * width
        return across, (ys[1] - y) / (ys[1] - ys[0]) * (HEIGHT - 64)

    places = {p.arm: pixels(p.x, p.y) for p in points}
    taken: list[Box] = [(x - 8, y - 8, x + 8, y + 8) for x, y in places.values()]
    found = []
    for p in points:
        x, y = places[p.arm]
        sides = [_side(x, y, _LETTER * len(p.arm), dx, dy) for dx, dy in _SIDES]
        spot = min(
            sides, key=lambda s: _outside(s[0], width) + sum(_overlap(s[0], b) for b in taken)
        )
        taken.append(spot[0])
        found.append(_name(p, *spot[1:]))
    return found


_SIDES = tuple((dx, dy) for dy in (-1, 1, -2.4, 2.4, -3.8, 3.8) for dx in (1, -1))


def _side(x: float, y: float, width: float, dx: int, dy: float) -> tuple[Box, int, float]:
    left = x + 10 if dx > 0 else x - 10 - width
    middle = y + 12 * dy
    return (left, middle - _LINE / 2, left + width, middle + _LINE / 2), 10 * dx, 12 * dy


def _outside(box: Box, width: int) -> float:
    """How far a name would leave the chart, which counts more than touching another."""
    return 100 * (max(0.0, -box[0]) + max(0.0, box[2] - width) + max(0.0, -box[1]))


def _overlap(a: Box, b: Box) -> float:
    """Shared area."""
    across, down = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    return max(0.0, across) * max(0.0, down)


def _name(p: Point, right: int, down: float) -> dict[str, Any]:
    return {
        "name": f"arm:{p.arm}",
        "text": label(p.arm),
        "x": log10(p.x),
        "y": p.y,
        "xanchor": "left" if right > 0 else "right",
        "xshift": right,
        "yshift": -down,
        "showarrow": False,
        "font": {"color": "var(--ink)", "size": 12},
    }
