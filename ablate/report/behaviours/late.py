"""The requests that hold a trial up at its end, and why they do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from ablate.report import words
from ablate.report.arms import ArmData, mean_values
from ablate.report.cells import EMPTY, Cell, Sheet
from ablate.report.contrasts import Entry

NOTED = 0.2
"""Share of the running time from which on a tail is worth a line in the terminal."""
_NUMBERS = (
    "tail_share",
    "tail_requests",
    "tail_tokens_not_served",
    "p99_p50_e2el",
    "cv_e2el",
)
_TITLES = {
    "tail_share": "Tail, share of the time",
    "tail_requests": "Requests in it",
    "tail_tokens_not_served": "Tokens not served",
    "p99_p50_e2el": "E2E p99 / p50",
    "cv_e2el": "E2E variation",
}
AID = (
    "The tail: the end of a trial in which, for good, fewer than a quarter of the peak number of "
    "requests are being served. Tokens not served: what the rate before it would have made. Why: "
    "what explains most of a straggler's excess over the median request; who came last is not "
    "slower than that. Means over blocks; requests of all blocks."
)


def late(arm: ArmData) -> Entry:
    """One arm: its tail, averaged over blocks, and its stragglers of all of them."""
    reasons: Counter[str] = Counter()
    named: list[dict[str, Any]] = []
    for block, trial in sorted(arm.good.items()):
        reasons.update(trial.stragglers.reasons)
        named += [{"block": block, **asdict(s)} for s in trial.stragglers.named]
    means = mean_values([t.metrics for t in arm.good.values()])
    return {
        "arm": arm.info.id,
        "blocks": len(arm.blocks),
        **{name: means.get(name) for name in _NUMBERS},
        "reasons": dict(reasons),
        "named": named,
    }


def late_sheet(results: Mapping[str, Any]) -> list[Sheet]:
    """One row an arm; nothing where no trial had enough requests at once to tell."""
    known = [e for e in results["behaviours"]["stragglers"] if e["tail_share"] is not None]
    shown = [n for n in _NUMBERS if any(e[n] is not None for e in known)]
    columns = (*(_TITLES[n] for n in shown), "Why")
    rows = tuple(
        (
            e["arm"],
            (*(Cell((words.quantity(n, e[n]),)) for n in shown), _why(e["reasons"])),
        )
        for e in known
    )
    return [Sheet("Stragglers", columns, rows, AID)] if rows else []


def _why(reasons: Mapping[str, int]) -> Cell:
    return (
        Cell(tuple(f"{reason} {count}" for reason, count in reasons.items())) if reasons else EMPTY
    )


def late_line(results: Mapping[str, Any]) -> list[str]:
    """The arm with the longest tail, if that is long: one line, for the terminal."""
    known = [e for e in results["behaviours"]["stragglers"] if e["tail_share"] is not None]
    worst = max(known, key=lambda e: float(e["tail_share"]), default=None)
    if worst is None or worst["tail_share"] < NOTED:
        return []
    why = ", ".join(f"{reason} {count}" for reason, count in worst["reasons"].items())
    late = words.quantity("tail_requests", worst["tail_requests"])
    return [
        f"{worst['arm']}: for {words.percent(worst['tail_share'])} of a trial's time only its "
        f"stragglers are being served, {late} at the start ({why}); report.md has every arm."
    ]
