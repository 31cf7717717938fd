"""Why a verdict is what it is, in one sentence built from the numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ablate.report import words

Entry = Mapping[str, Any]

_NOUNS = {
    "request_throughput": "request throughput",
    "max_request_rate": "highest rate",
    "mean_e2el_ms": "the whole answer",
    "weight_bytes": "weights",
    "peak_kv_bytes": "KV cache",
}


def reason(accuracy: Entry, efficiency: Sequence[Entry], margin: float, band: float) -> str:
    """One sentence: accuracy first, then what got better, worse, stayed or is open."""
    parts = [_accuracy(accuracy, margin)]
    for status, lead in (("better", ""), ("worse", "but "), ("undecided", "undecided: ")):
        some = [_ratio(e) for e in efficiency if e["status"] == status]
        if some:
            parts.append(lead + ", ".join(some))
    same = [_NOUNS[e["metric"]] for e in efficiency if e["status"] == "same"]
    if same:
        parts.append(f"no change beyond ±{_percent(band)} in {_and(same)}")
    return f"{'; '.join(parts)}."


def _accuracy(e: Entry, margin: float) -> str:
    if e["value"] is None:
        return "Accuracy cannot be compared"
    moved = (
        f"Accuracy{_basis(e)} {words.points(e['value'])} points "
        f"{words.interval(e['low'], e['high'], signed=True)}"
    )
    limit = f"{100 * margin:.1f} points"
    noise = ", no more than the baseline run twice" if e["within_noise"] and e["value"] else ""
    said = {
        "better": "a gain",
        "kept": f"a loss above {limit} is ruled out",
        "worse": f"a loss above {limit}",
        "undecided": f"a loss above {limit} is not ruled out",
        "not measured": "",
    }[e["status"]]
    return f"{moved}: {said}{noise}"


def _basis(e: Entry) -> str:
    """Said where the effect is not the average; of weights it is what everybody expects."""
    alone = e["basis"] == "alone" and e["metric"] != "weight_bytes"
    return " (the others off)" if alone else ""


def _ratio(e: Entry) -> str:
    spoken = words.change(e["metric"], e)
    noun = _NOUNS[e["metric"]] + _basis(e)
    noise = ", no more than the baseline run twice" if e["within_noise"] else ""
    if e["low"] is None:
        return f"{noun} {spoken[0]} (one block, no interval){noise}"
    interval = "" if e["low"] == e["high"] else f" {' '.join(spoken[1:])}"
    return f"{noun} {spoken[0]}{interval}{noise}"


def caution(interaction: Entry, name: str) -> str:
    """What two optimizations do together beyond what each does alone."""
    other = next(n for n in interaction["name"].split(" & ") if n != name)
    if interaction["metric"] == "accuracy":
        size = f"{abs(100 * interaction['value']):.1f} points"
        more = "more" if interaction["value"] > 0 else "less"
        return f"With {other}: accuracy {size} {more} than the two effects add up to."
    noun = _NOUNS[interaction["metric"]]
    return (
        f"With {other}: {noun} {words.change(interaction['metric'], interaction)[0]} "
        "than the two effects multiply to."
    )


def needed(entry: Entry) -> str:
    """What would decide an undecided verdict; empty where nothing is open."""
    if entry["hopeless"]:
        return "too near the limit for more measuring to decide"
    counts = {"problem": entry["more_problems"], "block": entry["more_blocks"]}
    parts = [f"{n:,} more {unit}{'s' if n > 1 else ''}" for unit, n in counts.items() if n]
    return f"about {_and(parts)} would decide" if parts else ""


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"


def _and(items: Sequence[str]) -> str:
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"
