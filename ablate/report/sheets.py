"""The tables of a report, independent of where they are shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ablate.report import added, words
from ablate.report.cells import EMPTY, NOISE, Cell, Mood, Sheet
from ablate.report.drift import drift_sheet
from ablate.report.offline import offline_sheet
from ablate.report.several import several_sheet
from ablate.report.summary import interaction_sheets

Results = Mapping[str, Any]

ACCURACY_AID = (
    "First line: share of right answers. Second: change against the baseline in percentage "
    "points [95 % interval]."
)
UNREAD = {"truncated": "cut off", "unparsed": "no answer"}
UNREAD_AID = (
    "Shares of all answers. Cut off: at the token limit, before an answer. No answer: ended "
    "without one that the grader can read. Neither counts as right; many of them say that the "
    "budget or the prompt is at fault."
)
RATIO_AID = f"Against the baseline [95 % interval]; bold and {NOISE} as above."
MARK_AID = f"Bold: the interval excludes no change. {NOISE}: no more than the baseline run twice."
WHY_AID = "What the optimizations did inside the engine; these numbers explain the tables above."


_RATIO_SHEETS: tuple[tuple[str, Mapping[str, str]], ...] = (
    (
        "Speed of the service",
        {
            "output_throughput": "Output throughput",
            "max_request_rate": "Highest rate",
            "running_time": "Running time",
            "mean_output_tokens": "Answer length",
        },
    ),
    (
        "Waiting of the user (means)",
        {
            "mean_ttft_ms": "First token",
            "mean_ttfvt_ms": "First visible token",
            "mean_tpot_ms": "Per token",
            "mean_e2el_ms": "Whole answer",
        },
    ),
    (
        "Memory",
        {
            "weight_bytes": "Weights",
            "peak_kv_bytes": "KV cache peak",
            "peak_rss_bytes": "Process peak",
        },
    ),
)
_WHY = {
    "mean_acceptance_length": "Tokens per draft step",
    "prefix_cache_hit_rate": "Prefix hits",
    "num_preemptions": "Preemptions",
    "peak_kv_cache_usage": "KV use, peak",
}


def sheets(results: Results) -> list[Sheet]:
    """Accuracy by domain, efficiency against the baseline, interactions, and what explains them.

    Where no trial has succeeded the first says all there is to say.
    """
    first = _accuracy_sheet(results)
    if not any(block["status"] == "ok" for arm in results["arms"] for block in arm["blocks"]):
        return [first]
    ratios = (_ratio_sheet(results, title, columns) for title, columns in _RATIO_SHEETS)
    together = interaction_sheets(results)
    several = several_sheet(results)
    return [
        first,
        *_unread_sheet(results),
        *offline_sheet(results),
        *several,
        *ratios,
        *together,
        *_why_sheet(results),
        *_added_sheet(results),
        *drift_sheet(results),
    ]


def _accuracy_sheet(results: Results) -> Sheet:
    domains = results["run"]["domains"]

    def cells(arm: Mapping[str, Any], found: Mapping[str, Any] | None) -> list[Cell]:
        own, other = arm["accuracy"], found["accuracy"] if found else None
        result = [_accuracy_cell(own["domains"][d], other and other["domains"][d]) for d in domains]
        if len(domains) != 1:
            result.append(_accuracy_cell(own["overall"], other and other["overall"]))
        return result

    columns = (*domains, "all") if len(domains) != 1 else tuple(domains)
    aid = f"{_sizes(results)} {ACCURACY_AID} {MARK_AID}"
    return Sheet("Accuracy", columns, _rows(results, cells, len(columns)), aid)


def _sizes(results: Results) -> str:
    """How many problems of each domain were answered, by the arm that answered most."""
    most = {
        domain: max((a["accuracy"]["domains"][domain]["n"] for a in results["arms"]), default=0)
        for domain in results["run"]["domains"]
    }
    return f"Problems: {', '.join(f'{domain} {n:,}' for domain, n in most.items())}."


def _unread_sheet(results: Results) -> list[Sheet]:
    """Answers that are neither right nor wrong; nothing where there are none."""
    domains = results["run"]["domains"]
    summaries = [arm["summary"] for arm in results["arms"] if arm["summary"]]
    if not any(summary[outcome] for summary in summaries for outcome in UNREAD):
        return []

    def cells(arm: Mapping[str, Any], _: Mapping[str, Any] | None) -> list[Cell]:
        found = [_unread_cell(arm["domains"].get(domain) or {}) for domain in domains]
        return found if len(domains) == 1 else [*found, _unread_cell(arm["summary"])]

    columns = (*domains, "all") if len(domains) != 1 else tuple(domains)
    rows = _rows(results, cells, len(columns))
    return [Sheet("Answers that were not read", columns, rows, UNREAD_AID)]


def _unread_cell(summary: Mapping[str, Any]) -> Cell:
    asked = summary.get("completed")
    if not asked:
        return EMPTY
    shares = {label: (summary[outcome] or 0.0) / asked for outcome, label in UNREAD.items()}
    lines = tuple(f"{words.percent(share)} {label}" for label, share in shares.items() if share)
    return Cell(lines or ("none",))


def _accuracy_cell(own: Mapping[str, Any], change: Mapping[str, Any] | None) -> Cell:
    if own["value"] is None:
        return EMPTY
    share = words.percent(own["value"])
    if change is None:
        return Cell((share, words.interval(own["low"], own["high"], signed=False)))
    if change["value"] is None:
        return Cell((share, "no pair"))
    moved = (
        f"{words.points(change['value'])} "
        f"{words.interval(change['low'], change['high'], signed=True)}"
    )
    mood: Mood = "better" if change["low"] > 0 else "worse" if change["high"] < 0 else "plain"
    return _marked((share, moved), mood, change, no_change=0.0)


def _ratio_sheet(results: Results, title: str, titles: Mapping[str, str]) -> Sheet:
    searched = results["rules"]["speed_metric"] == "max_request_rate"
    columns = {n: t for n, t in titles.items() if searched or n != "max_request_rate"}

    def cells(arm: Mapping[str, Any], found: Mapping[str, Any] | None) -> list[Cell]:
        if found is None:
            return [_value(arm, name) for name in columns]
        return [_ratio_cell(name, found["ratios"][name]) for name in columns]

    rows = _rows(results, cells, len(columns))
    return Sheet(title, tuple(columns.values()), rows, RATIO_AID)


def _ratio_cell(name: str, estimate: Mapping[str, Any]) -> Cell:
    lines = words.change(name, estimate)
    verdict = words.better(name, estimate)
    mood: Mood = "plain" if verdict is None else "better" if verdict else "worse"
    return _marked(lines, mood, estimate, no_change=1.0)


def _marked(
    lines: tuple[str, ...], mood: Mood, estimate: Mapping[str, Any], no_change: float
) -> Cell:
    if estimate.get("within_noise") and estimate["value"] != no_change:
        return Cell((*lines, NOISE), "noise")
    return Cell(lines, mood)


def _why_sheet(results: Results) -> list[Sheet]:
    """Only what some arm measured; nothing if none did."""
    arms = results["arms"]
    seen = [n for n in _WHY if any(arm["summary"].get(n) is not None for arm in arms)]
    rows = _rows(results, lambda arm, _: [_value(arm, name) for name in seen], len(seen))
    return [Sheet("Why", tuple(_WHY[n] for n in seen), rows, WHY_AID)] if seen else []


def _added_sheet(results: Results) -> list[Sheet]:
    """The metrics of plugins, as means over blocks."""
    known = results["added_metrics"]

    def cells(arm: Mapping[str, Any], _: object) -> list[Cell]:
        values = arm["summary"]
        return [Cell((added.quantity(values.get(n), known[n]),)) for n in known]

    aid = "; ".join(f"{name}: {one['definition']}" for name, one in known.items())
    rows = _rows(results, cells, len(known))
    return [Sheet("Metrics of plugins", tuple(known), rows, aid)] if known else []


def _value(arm: Mapping[str, Any], name: str) -> Cell:
    return Cell((words.quantity(name, arm["summary"].get(name)),))


Cells = Callable[[Mapping[str, Any], Mapping[str, Any] | None], Sequence[Cell]]


def _rows(results: Results, cells: Cells, width: int) -> tuple[tuple[str, tuple[Cell, ...]], ...]:
    """The baseline, its repeats, then the arms; an arm without results says why."""
    floor = results["noise_floor"] or {"contrasts": []}
    found = {c["arm"]: c for c in [*results["contrasts"], *floor["contrasts"]]}
    order = sorted(
        results["arms"], key=lambda a: (a["id"] != results["baseline"], not a["replicate"])
    )
    rows = []
    for arm in order:
        ended = arm["status"] not in ("failed", "not run")
        row = cells(arm, found.get(arm["id"])) if ended else _absent(arm, width)
        if ended and arm["replicate"]:  # the floor is what verdicts are held against, and has none
            row = [Cell(cell.lines) for cell in row]
        rows.append((_label(arm, results["baseline"]), tuple(row)))
    return tuple(rows)


def _absent(arm: Mapping[str, Any], width: int) -> list[Cell]:
    if arm["status"] == "not run":
        return [Cell(("not run yet",)), *[EMPTY] * (width - 1)]
    kind = next(b["kind"] for b in arm["blocks"]) or "error"
    return [Cell(("failed", kind.replace("_", " ")), "worse"), *[EMPTY] * (width - 1)]


def _label(arm: Mapping[str, Any], baseline: str | None) -> str:
    if arm["replicate"]:
        number = f" {arm['replicate']}" if arm["replicate"] > 1 else ""
        return f"{baseline} again{number} (noise floor)"
    partly = " (partly failed)" if arm["status"] == "partly failed" else ""
    return f"{arm['id']}{partly}"
