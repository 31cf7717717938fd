"""What the page shows as HTML tables: every arm at a glance, costs, heat map, interactions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import log
from typing import Any

from ablate.metrics import NAMES
from ablate.report import words
from ablate.report.cells import Sheet

Results = Mapping[str, Any]
_GLANCE = {
    "output_throughput": "Output throughput",
    "mean_e2el_ms": "Whole answer",
    "mean_ttfvt_ms": "First visible token",
    "weight_bytes": "Weights",
    "peak_kv_bytes": "KV cache, peak",
}
FULL_SHADE = 0.10
"""A change of accuracy that gets the strongest colour; a ratio gets it at log(1.5)."""


@dataclass(frozen=True)
class Box:
    """A cell. ``shade`` from -1 (worst) to 1 (best) colours it; ``mood`` is a CSS class."""

    lines: tuple[str, ...]
    mood: str = "plain"
    shade: float | None = None
    hint: str = ""

    @property
    def background(self) -> str:
        """CSS: the colour of a shade, nothing without one."""
        if self.shade is None:
            return ""
        side = "better" if self.shade > 0 else "worse"
        return f"--shade: var(--heat-{side}); --amount: {abs(self.shade):.0%}"


EMPTY = Box(("—",), "faint")


@dataclass(frozen=True)
class Grid:
    """A table with named rows. ``kind`` is a CSS class."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Box, ...]], ...]
    kind: str = ""
    corner: str = ""
    title: str = ""
    aid: str = ""


def glance(results: Results) -> Grid | None:
    """Every arm against the baseline on what most readers ask for first."""
    contrasts = results["contrasts"]
    known = [c for c in contrasts if c["accuracy"]["overall"]["value"] is not None]
    if not known:
        return None
    names = [n for n in _GLANCE if any(c["ratios"].get(n, {}).get("value") for c in known)]
    rows = [
        (
            c["arm"],
            (
                _points_box(c["accuracy"]["overall"]),
                *(_ratio_box(n, c["ratios"][n]) for n in names),
            ),
        )
        for c in known
    ]
    columns = ("Accuracy, points", *(_GLANCE[n] for n in names))
    return Grid(columns, tuple(rows), "numbers", "Arm")


_PARTS = {
    "e2e": "Whole answer",
    "output_length": "Answer length",
    "time_per_token": "Time per token",
    "remainder": "Waiting",
}
_COSTS = {
    "correct_per_second": "Right answers a second",
    "goodput": "Right and in time, a second",
    "tokens_per_correct": "Tokens per right answer",
    "seconds_per_correct": "Seconds per right answer",
}


def causes(results: Results) -> Grid | None:
    """Each arm's change of the time to the whole answer, and the factors that make it up."""
    found = {c["arm"]: c["why"]["overall"] for c in results["contrasts"]}
    rows = [
        (arm, tuple(Box((f"{why['ratios'][part]:.2f}{words.TIMES}",)) for part in _PARTS))
        for arm, why in found.items()
        if why
    ]
    return Grid(tuple(_PARTS.values()), tuple(rows), "numbers", "Arm") if rows else None


def costs(results: Results) -> Grid | None:
    """What a right answer takes, for every arm; bounds on latency only where there are some."""
    names = [n for n in _COSTS if n != "goodput" or results["goodput"]["slo"]]
    found = {e["arm"]: e["overall"] for e in results["goodput"]["arms"]}
    rows = [
        (arm, tuple(_number(own.get(name)) for name in names))
        for arm, own in found.items()
        if any(value is not None for value in own.values())
    ]
    return Grid(tuple(_COSTS[n] for n in names), tuple(rows), "numbers", "Arm") if rows else None


def _number(value: float | None) -> Box:
    return EMPTY if value is None else Box((words.digits(value),))


def _points_box(e: Mapping[str, Any], shaded: bool = False) -> Box:
    if e["value"] is None:
        return EMPTY
    between = words.interval(e["low"], e["high"], signed=True)
    sure = e["low"] is not None and (e["low"] > 0 or e["high"] < 0)
    noise = bool(e.get("within_noise"))
    mood = "noise" if noise else _mood(e["value"] > 0) if sure else "plain"
    shade = max(-1.0, min(1.0, e["value"] / FULL_SHADE)) if shaded else None
    lines = (words.points(e["value"]), between, *(["≈ noise"] if noise and e["value"] else []))
    return Box(lines, mood, shade)


def _mood(better: bool) -> str:
    return "better" if better else "worse"


def _ratio_box(name: str, e: Mapping[str, Any]) -> Box:
    if e["value"] is None:
        return EMPTY
    verdict, noise = words.better(name, e), bool(e.get("within_noise")) and e["value"] != 1
    mood = "noise" if noise else "plain" if verdict is None else _mood(verdict)
    first, *rest = words.change(name, e)
    lines = (first, *rest, "≈ noise" if noise else "")
    return Box(tuple(line for line in lines if line), mood)


def heat_map(results: Results) -> Grid | None:
    """Change of accuracy by arm and domain, the deeper the colour the larger."""
    domains = results["run"]["domains"]
    rows = [
        (
            c["arm"],
            tuple(_points_box(c["accuracy"]["domains"][d], shaded=True) for d in domains)
            + ((_points_box(c["accuracy"]["overall"], shaded=True),) if len(domains) > 1 else ()),
        )
        for c in results["contrasts"]
        if c["accuracy"]["overall"]["value"] is not None
    ]
    columns = (*domains, "all") if len(domains) > 1 else tuple(domains)
    return Grid(columns, tuple(rows), "heat", "Arm") if rows else None


def interactions(results: Results) -> list[Grid]:
    """For accuracy and for speed: what two optimizations do beyond their effects alone."""
    entries = results["interactions"]
    speed = results["rules"]["speed_metric"]
    titles = {"accuracy": "Accuracy, points", speed: "Speed, as a factor"}
    grids = (_matrix([e for e in entries if _is(e, metric)], t) for metric, t in titles.items())
    return [grid for grid in grids if grid]


def _is(entry: Mapping[str, Any], metric: str) -> bool:
    return entry["metric"] == metric and entry["domain"] is None and entry["value"] is not None


def _matrix(entries: Sequence[Mapping[str, Any]], title: str) -> Grid | None:
    """The lower triangle: row and column are the two optimizations."""
    pairs = {tuple(e["name"].split(" & ")): e for e in entries}
    names = list(dict.fromkeys(name for pair in pairs for name in pair))
    if not pairs:
        return None
    rows = [
        (row, tuple(_interaction(pairs.get((column, row))) for column in names[:-1]))
        for row in names[1:]
    ]
    return Grid(tuple(names[:-1]), tuple(rows), "heat", title=title)


def _interaction(e: Mapping[str, Any] | None) -> Box:
    if e is None:
        return Box(("",))
    sure = e["p_holm"] is not None and e["p_holm"] < 0.05 and not e["within_noise"]
    p = f"adjusted p {words.p_value(e['p_holm'])}"
    if e["metric"] == "accuracy":
        size, text = e["value"] / FULL_SHADE, words.points(e["value"])
        between = words.interval(e["low"], e["high"], signed=True)
    else:
        sign = 1 if NAMES[e["metric"]].better == "higher" else -1
        size, text = sign * log(e["value"]) / log(1.5), f"{e['value']:.2f}{words.TIMES}"
        ends = None if e["low"] is None else f"[{e['low']:.2f}, {e['high']:.2f}]"
        between = ends or "no interval"
    mood = _mood(size > 0) if sure else "plain"
    shade = max(-1.0, min(1.0, size)) if sure else 0.0
    return Box((text, between, p if sure else f"not sure, {p}"), mood, shade)


def of_sheet(sheet: Sheet) -> Grid:
    """A plain table of the other reports."""
    rows = tuple(
        (name, tuple(Box(cell.lines, cell.mood) for cell in cells)) for name, cells in sheet.rows
    )
    return Grid(sheet.columns, rows, "numbers", "Arm", sheet.title, sheet.aid)


def arms(results: Results) -> Grid:
    """What each arm switches on."""
    rows = tuple(
        (a["id"], (_plain(a["levels"]), _plain(a["plugins"]), _plain(a["settings"])))
        for a in results["arms"]
    )
    return Grid(("Levels", "Optimizations", "Settings"), rows, "words", "Arm")


def pairs(mapping: Mapping[str, Any]) -> Grid:
    """A mapping as a table of two columns."""
    return Grid(("",), tuple((str(k), (_plain(v),)) for k, v in mapping.items()), "words")


def _plain(value: Any) -> Box:
    return Box(tuple(_lines(value)) or ("none",))


def _lines(value: Any) -> Iterable[str]:
    if isinstance(value, Mapping):
        return [f"{k}: {_flat(v)}" for k, v in value.items()]
    return [_flat(value)]


def _flat(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{k}={_flat(v)}" for k, v in value.items()) or "on"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_flat, value))
    return str(value)
