"""Token budgets as tables: the knee of each arm, and arms that differ in their budget alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ablate.report import words
from ablate.report.cells import EMPTY, NOISE, Cell, Sheet

Entry = Mapping[str, Any]

BUDGET_AID = (
    "The knee: the smallest token budget whose accuracy is within the margin of the best budget's. "
    "In brackets: where 95 % of resamples over problems have it, and how many agree. Read from one "
    "arm's answers, cut shorter, which is exact for those that ended within the smaller budget; "
    "one that did not counts as not right."
)
SERIES_AID = (
    "Arms that differ in their token budget alone. Cut off: answers that reached it. Overthinking: "
    "the largest budget is surely less accurate than a smaller one (paired, adjusted)."
)
CLOSED_AID = (
    "Arms that differ in where their thinking is closed, and the one that closes none. Cut off: "
    "answers that reached the token limit. Minus: the accuracy gained over answers that are cut "
    "off at as many tokens, percentage points [95 % interval], paired by problem, p adjusted."
)
SERIES = {"arms": ("Token budget", SERIES_AID), "closed": ("Thinking budget", CLOSED_AID)}


def knee_sheet(results: Entry) -> list[Sheet]:
    """One row an arm, from its own answers cut shorter."""
    cut = [e for e in results["behaviours"]["budgets"] if e["source"] == "cut"]
    found = {(e["arms"][0], e["domain"]): e["knee"] for e in cut}
    places = _places(cut)
    rows = tuple(
        (arm, tuple(_knee(found.get((arm, place))) for place in places))
        for arm in dict.fromkeys(arm for arm, _ in found)
    )
    heads = tuple(place or "all" for place in places)
    return [Sheet("Knee of the token budget", heads, rows, BUDGET_AID)] if rows else []


def _places(entries: Iterable[Entry]) -> list[str | None]:
    return list(dict.fromkeys(e["domain"] for e in entries))


def _knee(knee: Entry | None) -> Cell:
    if knee is None:
        return EMPTY
    between = f"[{knee['low']}, {knee['high']}]"
    return Cell((f"{knee['budget']:,} tokens", f"{between} {100 * knee['sure']:.0f} %"))


def series_sheets(results: Entry) -> list[Sheet]:
    """A table for every set of arms that differ in their budget alone, one row a budget."""
    sheets = []
    for source, (title, aid) in SERIES.items():
        entries = [e for e in results["behaviours"]["budgets"] if e["source"] == source]
        names = list(dict.fromkeys(tuple(e["arms"]) for e in entries))
        for number, arms in enumerate(names, 1):
            own = [e for e in entries if tuple(e["arms"]) == arms]
            named = title if len(names) == 1 else f"{title} {number}"
            sheets.append(Sheet(named, _series_heads(own), _series_rows(own), aid))
    return sheets


def _series_heads(entries: Sequence[Entry]) -> tuple[str, ...]:
    return (*(e["domain"] or "all" for e in entries), "Cut off", "Tokens an answer", "Running time")


def _series_rows(entries: Sequence[Entry]) -> tuple[tuple[str, tuple[Cell, ...]], ...]:
    whole = entries[0]
    rows = []
    for place, point in enumerate(whole["points"]):
        cells = [_accuracy(e["points"][place]["accuracy"]) for e in entries]
        seconds = point["seconds"]
        cells += [
            Cell((words.percent(point["cut_off"]),)),
            Cell((words.digits(point["tokens"]),)),
            EMPTY if seconds is None else Cell((f"{words.digits(seconds)} s",)),
        ]
        rows.append((f"{point['budget']:,} tokens: {point['arm']}", tuple(cells)))
        rows += _against_cut(entries, point["budget"])
    rows.append(("knee", (*(_knee(e["knee"]) for e in entries), *[Cell(("",))] * 3)))
    rows.append(("overthinking", (*(_overthinking(e) for e in entries), *[Cell(("",))] * 3)))
    return tuple(rows)


def _against_cut(entries: Sequence[Entry], budget: int) -> list[tuple[str, tuple[Cell, ...]]]:
    """What closing gained over cutting off at the same budget, where both were measured."""
    changes = [
        next((c for c in e["closed_against_cut"] if c["budget"] == budget), None) for e in entries
    ]
    if changes[0] is None:
        return []
    name = f"minus cut off at {budget:,}: {changes[0]['arm']}"
    return [(name, (*(_gain(c) for c in changes), *[Cell(("",))] * 3))]


def _gain(change: Entry | None) -> Cell:
    if change is None:
        return EMPTY
    between = words.interval(change["low"], change["high"], signed=True)
    noise = [NOISE] if change["within_noise"] else []
    return Cell(
        (words.points(change["value"]), between, f"p {words.p_value(change['p_holm'])}", *noise)
    )


def _accuracy(estimate: Entry) -> Cell:
    return Cell(
        (
            words.percent(estimate["value"]),
            words.interval(estimate["low"], estimate["high"], signed=False),
        )
    )


def _overthinking(entry: Entry) -> Cell:
    """The smaller budget that did best against the largest, with the adjusted p-value."""
    worst = min(entry["largest_against"], key=lambda c: float(c["value"]))
    word = "shown" if entry["overthinking"] else "not shown"
    against = f"{words.points(worst['value'])} against {worst['budget']:,}"
    return Cell((word, against, f"p {words.p_value(worst['p_holm'])}"))
