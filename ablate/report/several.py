"""What several answers to a problem are worth, as a table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ablate.report import words
from ablate.report.cells import EMPTY, Cell, Sheet

AID = (
    "pass@k: the chance that one of k answers is right. majority@k: that the most frequent one is. "
    "For the largest k that every problem has answers for; means over blocks."
)


def several_sheet(results: Mapping[str, Any]) -> list[Sheet]:
    """One row an arm, one column a domain; nothing where problems have one answer each."""
    domains = results["run"]["domains"]
    known = [arm for arm in results["arms"] if arm["several_answers"]]
    rows = tuple(
        (arm["id"], tuple(_cell(arm["several_answers"][d]) for d in domains)) for arm in known
    )
    return [Sheet("Several answers a problem", tuple(domains), rows, AID)] if rows else []


def _cell(found: Mapping[str, Mapping[str, float | None]]) -> Cell:
    passed, voted = found["pass_at_k"], found["majority_at_k"]
    if not passed:
        return EMPTY
    k = max(passed, key=int)
    values = {f"pass@{k}": passed[k], f"majority@{k}": voted.get(k)}
    return Cell(tuple(f"{n} {words.percent(v)}" for n, v in values.items() if v is not None))
