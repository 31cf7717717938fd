"""Charts as plain values that JSON can hold: what plotly.js draws, and what stands around it.

Figures are dictionaries in plotly's own format, checked against it in the tests. Colours are CSS
variables, which the page's script replaces, so that one figure serves light, dark and print.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

import numpy as np

from ablate.report.html.palette import Style
from ablate.report.html.views import Floats
from ablate.report.words import TIMES

Figure = dict[str, Any]
KEY_LINE = 18
KEY_NAME = 22
_TICKS = (1, 1.05, 1.1, 1.2, 1.35, 1.5, 1.75, 2, 2.5, 3, 4, 5, 7, 10, 15, 20, 30, 50, 100, 300)


@dataclass(frozen=True)
class Choice:
    """A menu above a chart: what it chooses, and its entries."""

    label: str
    options: tuple[str, ...]


@dataclass(frozen=True)
class Chart:
    """A chart with its menus. ``figures``: chosen entry of each menu, joined by ``|`` -> figure.

    A figure's ``note`` is a sentence shown below it: what was left out, how to take it.
    """

    id: str
    label: str
    choices: tuple[Choice, ...]
    figures: Mapping[str, Figure] = field(repr=False)

    @property
    def height(self) -> int:
        """Pixels of the first figure: the space to keep while the page loads."""
        return int(next(iter(self.figures.values()))["layout"]["height"])


def one_menu(id: str, label: str, menu: str, figures: Mapping[str, Figure]) -> Chart | None:
    """A chart with at most one menu, None without figures. ``figures``: entry -> figure."""
    if not figures:
        return None
    choices = (Choice(menu, tuple(figures)),) if len(figures) > 1 else ()
    numbered = {str(i) if choices else "": f for i, f in enumerate(figures.values())}
    return Chart(id, label, choices, numbered)


def figure(traces: Iterable[Figure], height: int, note: str = "", **layout: Any) -> Figure:
    """A figure in the page's style. ``layout`` is merged over it, axes one level deeper."""
    base: Figure = {
        "height": height,
        "autosize": True,
        "margin": {"l": 56, "r": 24, "t": 16, "b": 48},
        "font": {"family": "system-ui, sans-serif", "size": 12, "color": "var(--muted)"},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "showlegend": False,
        "hovermode": "closest",
        "hoverlabel": {
            "bgcolor": "var(--surface)",
            "bordercolor": "var(--line)",
            "font": {"color": "var(--ink)", "family": "system-ui, sans-serif", "size": 12},
            "align": "left",
        },
    }
    for name in ("xaxis", "yaxis", *(n for n in layout if n.startswith(("xaxis", "yaxis")))):
        base[name] = _AXIS | layout.pop(name, base.get(name, {}))
    return {"data": list(traces), "layout": base | layout, "note": note}


_AXIS: Figure = {
    "gridcolor": "var(--grid)",
    "linecolor": "var(--line)",
    "zeroline": False,
    "ticks": "",
    "automargin": True,
}


def titled(text: str, **more: Any) -> Figure:
    """An axis with its title."""
    return {"title": {"text": label(text), "standoff": 12, "font": {"size": 12}}, **more}


def label(value: object) -> str:
    """Any text as plotly shows it: it reads a few HTML tags, and ``%{…}`` in hover texts."""
    return escape(" ".join(str(value).split()), quote=False).replace("%{", "% {")


def key(entries: Sequence[tuple[str, Style, str]]) -> list[Figure]:
    """The lines' names in the margin at the right, from the top: (arm, style, its number)."""
    return [
        {
            "name": f"arm:{arm}",
            "text": f'<span style="color:{style.colour}">{_STROKES[style.dash]}</span> '
            f"<b>{label(clip(arm, KEY_NAME))}</b>  {label(number)}",
            "x": 1,
            "xref": "paper",
            "xanchor": "left",
            "xshift": 10,
            "y": 1,
            "yref": "paper",
            "yanchor": "top",
            "yshift": -KEY_LINE * place,
            "showarrow": False,
            "align": "left",
            "font": {"color": "var(--ink)", "size": 12},
        }
        for place, (arm, style, number) in enumerate(entries)
    ]


def key_margin(entries: Sequence[tuple[str, Style, str]]) -> int:
    """Pixels at the right that the key needs."""
    letters = max((len(clip(arm, KEY_NAME)) + len(number) for arm, _, number in entries), default=0)
    return 56 + int(7.2 * letters)


_STROKES = {"solid": "━━", "dash": "╍╍", "dot": "┅┅", "dashdot": "╍┅"}


def clip(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def rounded(values: Floats | Sequence[float], places: int = 4) -> list[float | None]:
    """Numbers with ``places`` significant digits, None for NaN: half the bytes of a page."""
    return [_round(float(v), places) for v in values]


def _round(value: float, places: int) -> float | None:
    if not math.isfinite(value):
        return None
    return float(f"{value:.{places}g}")


def ratio_axis(values: Iterable[float]) -> Figure:
    """Ticks such as "1.5 times" for an axis of log10 ratios that holds ``values`` and 1."""
    logs = [math.log10(v) for v in values if v > 0] or [0.0]
    low, high = min(0.0, *logs), max(0.0, *logs)
    room = max(0.08 * (high - low), 0.02)
    low, high = low - room, high + room
    both = sorted({1 / t for t in _TICKS} | set(_TICKS))
    inside = [t for t in both if low <= math.log10(t) <= high]
    kept = _apart(inside, (high - low) / 9)
    return {
        "range": [low, high],
        "tickvals": [math.log10(t) for t in kept],
        "ticktext": [f"{t:.2f}".rstrip("0").rstrip(".") + TIMES for t in kept],
    }


def _apart(ticks: Sequence[float], distance: float) -> list[float]:
    """The ticks that leave room, with 1 in any case, round numbers first."""
    kept: list[float] = []
    for tick in sorted(ticks, key=lambda t: (t != 1, _digits(t), abs(math.log(t)))):
        if all(abs(math.log10(tick / other)) >= distance for other in kept):
            kept.append(tick)
    return sorted(kept)


def _digits(tick: float) -> int:
    return len(f"{tick:.2f}".rstrip("0"))


def quantiles(values: Floats, most: int) -> tuple[list[float | None], list[float | None]]:
    """An empirical distribution: (samples, share at or below each), at most ``most`` of them.

    Every point lies on the exact curve; a longer sample is shown at evenly spaced shares.
    """
    ordered = np.sort(values)
    places = np.unique(np.linspace(0, ordered.size - 1, min(most, ordered.size)).astype(int))
    return rounded(ordered[places]), rounded((places + 1) / ordered.size)


def log_axis(values: Floats) -> Figure:
    """A log scale with ticks at 1, 2 and 5 times powers of ten, for most of ``values`` (> 0)."""
    low, high = (math.log10(float(np.quantile(values, q))) for q in (0.002, 0.998))
    steps = [m * 10.0**p for p in range(math.floor(low), math.ceil(high) + 1) for m in (1, 2, 5)]
    inside = [t for t in steps if low - 0.02 <= math.log10(t) <= high + 0.02]
    return {
        "type": "log",
        "range": [low - 0.03, high + 0.03],
        "tickvals": inside,
        "ticktext": [f"{t:,.4g}" for t in inside],
    }
