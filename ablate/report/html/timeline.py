"""Who waited for whom: every request of one trial as a bar, with the stragglers marked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ablate.metrics import Tail, Window, find_tail, steady_of
from ablate.report import words
from ablate.report.html.chart import Chart, Figure, figure, label, one_menu, rounded, titled
from ablate.report.html.lines import extremes
from ablate.report.html.views import ArmView, Floats, Timeline

MOST_BARS = 240


def timelines(views: Sequence[ArmView]) -> Chart | None:
    """A figure an arm."""
    figures = {v.id: _figure(v, v.timeline) for v in views if v.timeline}
    return one_menu("timeline", "Requests over time", "Arm", figures)


def _figure(view: ArmView, line: Timeline) -> Figure:
    first, visible = _ends(line)
    tail, backlog = find_tail(first, line.finished), find_tail(line.arrival, line.finished)
    steady = steady_of(line.arrival, backlog)
    kept = _kept(tail.late)
    height = 190 + int(max(160, min(420, 5 * len(kept))))
    hover = _hover(line, kept)
    late = kept[tail.late[kept]]
    row = {int(number): place for place, number in enumerate(kept)}
    traces = [
        _bars(line.arrival[kept], first[kept], "var(--waiting)", 1.0, hover),
        _bars(first[kept], visible[kept], view.style.colour, 0.45, hover),
        _bars(visible[kept], line.finished[kept], view.style.colour, 1.0, hover),
        _marks(rounded(line.finished[late], 6), [row[int(i)] for i in late]),
        _under_way(backlog, view.style.colour),
    ]
    return figure(
        traces,
        height,
        note=_note(line, tail, steady, len(kept)),
        barmode="overlay",
        bargap=0.12,
        margin={"l": 56, "r": 24, "t": 36, "b": 52},
        xaxis=titled("Seconds from the start of measuring", rangemode="tozero", anchor="y"),
        yaxis={
            "domain": [0, 0.74],
            "range": [len(kept) - 0.5, -0.5],
            "showticklabels": False,
            "showgrid": False,
        }
        | titled("Requests by arrival"),
        yaxis2={"domain": [0.8, 1], "rangemode": "tozero", "nticks": 4} | titled("Under way"),
        shapes=[*_shade(tail), *_edges(steady)],
        annotations=[*_caption(tail), *_steady_caption(steady)],
    )


def _kept(late: np.ndarray[Any, np.dtype[np.bool_]]) -> np.ndarray[Any, np.dtype[np.int_]]:
    """Which requests are drawn: all, or the stragglers and an even choice of the others."""
    if late.size <= MOST_BARS:
        return np.arange(late.size)
    last = np.flatnonzero(late)[-MOST_BARS // 3 :]
    others = np.flatnonzero(~late)
    room = min(others.size, MOST_BARS - last.size)
    even = others[np.linspace(0, others.size - 1, room).astype(int)] if room else others[:0]
    kept: np.ndarray[Any, np.dtype[np.int_]] = np.unique(np.concatenate([last, even]))
    return kept


def _ends(line: Timeline) -> tuple[Floats, Floats]:
    """Ends of waiting and of thinking; who never showed a token was thinking to the end."""
    first = np.where(np.isfinite(line.first), line.first, line.finished)
    visible = np.where(np.isfinite(line.visible), line.visible, line.finished)
    return first, np.maximum(first, visible)


def _bars(start: Floats, end: Floats, colour: str, opacity: float, hover: list[str]) -> Figure:
    return {
        "type": "bar",
        "orientation": "h",
        "base": rounded(start, 6),
        "x": rounded(end - start, 4),
        "y": list(range(start.size)),
        "marker": {"color": colour, "line": {"width": 0}},
        "opacity": opacity,
        "text": hover,
        "textposition": "none",
        "hovertemplate": "%{text}<extra></extra>",
    }


def _hover(line: Timeline, kept: np.ndarray[Any, np.dtype[np.int_]]) -> list[str]:
    whole = line.finished - line.arrival
    return [
        f"<b>{label(line.label[i])}</b><br>{words.digits(whole[i])} s, {line.tokens[i]:,.0f} tokens"
        for i in kept
    ]


def _marks(x: list[float | None], y: list[int]) -> Figure:
    return {
        "type": "scatter",
        "mode": "markers",
        "x": x,
        "y": y,
        "marker": {"symbol": "triangle-left", "size": 9, "color": "var(--worse)"},
        "cliponaxis": False,
        "hoverinfo": "skip",
    }


def _under_way(backlog: Tail, colour: str) -> Figure:
    kept = extremes(backlog.running, 150)
    return {
        "type": "scatter",
        "mode": "lines",
        "yaxis": "y2",
        "x": rounded(backlog.times[kept], 5),
        "y": rounded(backlog.running[kept]),
        "line": {"color": colour, "width": 1.5, "shape": "hv"},
        "fill": "tozeroy",
        "fillcolor": "var(--band)",
        "hovertemplate": "%{y} requests at %{x:.2f} s<extra></extra>",
    }


def _shade(tail: Tail) -> list[Figure]:
    if tail.start is None:
        return []
    return [
        {
            "type": "rect",
            "layer": "below",
            "yref": "paper",
            "y0": 0,
            "y1": 1,
            "x0": tail.start,
            "x1": float(tail.times[-1]),
            "fillcolor": "var(--tail)",
            "line": {"width": 0},
        }
    ]


def _caption(tail: Tail) -> list[Figure]:
    if tail.start is None:
        return []
    return [
        {
            "text": "tail",
            "x": float(tail.times[-1]),
            "xanchor": "right",
            "y": 1,
            "yref": "paper",
            "yanchor": "bottom",
            "showarrow": False,
            "font": {"color": "var(--worse)", "size": 12},
        }
    ]


def _edges(steady: Window | None) -> list[Figure]:
    """Where the steady state begins and ends, in the curve of the requests under way."""
    return [
        {
            "type": "line",
            "yref": "paper",
            "y0": 0.8,
            "y1": 1,
            "x0": moment,
            "x1": moment,
            "line": {"color": "var(--muted)", "width": 1, "dash": "dot"},
        }
        for moment in steady or ()
    ]


def _steady_caption(steady: Window | None) -> list[Figure]:
    if steady is None:
        return []
    return [
        {
            "text": "steady",
            "x": (steady.start + steady.end) / 2,
            "xanchor": "center",
            "y": 1,
            "yref": "paper",
            "yanchor": "bottom",
            "showarrow": False,
            "font": {"color": "var(--muted)", "size": 12},
        }
    ]


def _note(line: Timeline, tail: Tail, steady: Window | None, drawn: int) -> str:
    note = f"Block {line.block}. Light grey: waiting; pale: thinking; full colour: visible answer. "
    end = float(tail.times[-1]) if tail.times.size else 0.0
    if tail.start is not None and end > 0:
        share = words.percent((end - tail.start) / end)
        note += (
            f"The last {int(tail.late.sum())} requests (triangles) keep the run going for {share} "
            f"of its time, with fewer than a quarter of the peak of {tail.peak} being served. "
        )
    else:
        note += "No tail: the requests end together, or too few ran at once to tell. "
    if steady is not None:
        note += (
            f"Steady, between the dotted lines: from {words.digits(steady.start)} s to the last "
            f"arrival at {words.digits(steady.end)} s. "
        )
    total = line.arrival.size
    return note + (f"{drawn} of {total:,} requests are drawn." if drawn < total else "")
