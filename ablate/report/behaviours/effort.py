"""Does effort follow difficulty? By arm and domain, with problems as the units."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from ablate import stats
from ablate.report import words
from ablate.report.arms import ArmData
from ablate.report.cells import EMPTY, Cell, Sheet
from ablate.report.columns import TrialData
from ablate.report.contrasts import Entry
from ablate.types import RunInfo

AID = (
    "First line: Spearman's rank correlation of a problem's difficulty and the length of its "
    "answer [95 % interval]. Then what one step of difficulty adds, tokens and seconds of running "
    "time (Theil-Sen slopes, which a few endless answers leave in place)."
)


def effort(arms: Mapping[str, ArmData], info: RunInfo) -> list[Entry]:
    """An entry for every arm and domain with two levels of difficulty or more."""
    places = [(arm, d) for arm in arms.values() if arm.blocks for d in info.domains]
    return [entry for arm, domain in places if (entry := _entry(arm, domain))]


def _entry(arm: ArmData, domain: str) -> Entry | None:
    hard, length = _follow(arm, domain, "tokens", lambda _: True)
    timed_hard, seconds = _follow(arm, domain, "service", lambda t: not t.result.resumed)
    if hard.size < 2 or not np.ptp(hard):
        return None
    return {
        "arm": arm.info.id,
        "domain": domain,
        "levels": int(np.unique(hard).size),
        "length_correlation": asdict(stats.spearman(hard, length)),
        "time_correlation": asdict(stats.spearman(timed_hard, seconds)),
        "tokens_per_step": asdict(stats.theil_sen(hard, length)),
        "seconds_per_step": asdict(stats.theil_sen(timed_hard, seconds)),
    }


def _follow(
    arm: ArmData, domain: str, column: str, counts: Callable[[TrialData], bool]
) -> tuple[stats.Floats, stats.Floats]:
    """(difficulty, mean of a column over samples and blocks), by problem."""
    trials = [t for t in arm.good.values() if counts(t)]
    here = arm.keys.within(domain)
    problem = arm.keys.problem[here]
    hard = _over_blocks(trials, "difficulty", arm)[here]
    effort = _over_blocks(trials, column, arm)[here]
    both = np.where(np.isnan(hard + effort), np.nan, 0.0)
    return stats.by_problem(hard + both, problem), stats.by_problem(effort + both, problem)


def _over_blocks(trials: list[TrialData], column: str, arm: ArmData) -> stats.Floats:
    """The mean of a column by key over the trials that have it, NaN where none has: [keys]."""
    sums, seen = np.zeros(len(arm.keys.names)), np.zeros(len(arm.keys.names))
    for trial in trials:
        values = trial.columns(column, arm.keys)
        known = ~np.isnan(values)
        sums[known] += values[known]
        seen += known
    means: stats.Floats = np.full(sums.size, np.nan)
    means[seen > 0] = sums[seen > 0] / seen[seen > 0]
    return means


def effort_sheet(results: Mapping[str, Any]) -> list[Sheet]:
    """One row an arm, one column a domain."""
    found = {(e["arm"], e["domain"]): e for e in results["behaviours"]["effort"]}
    domains = [d for d in results["run"]["domains"] if any(d == domain for _, domain in found)]
    rows = tuple(
        (arm, tuple(_cell(found.get((arm, d))) for d in domains))
        for arm in dict.fromkeys(arm for arm, _ in found)
    )
    return [Sheet("Effort and difficulty", tuple(domains), rows, AID)] if rows else []


def _cell(entry: Mapping[str, Any] | None) -> Cell:
    if entry is None or entry["length_correlation"]["value"] is None:
        return EMPTY
    rank, tokens, seconds = (
        entry[k] for k in ("length_correlation", "tokens_per_step", "seconds_per_step")
    )
    first = f"{_signed(rank['value'])} {_between(rank)}".strip()
    lines = [first, f"{_signed(tokens['value'])} tokens {_between(tokens)}".strip()]
    if seconds["value"] is not None:
        lines.append(f"{_signed(seconds['value'])} s {_between(seconds)}".strip())
    return Cell(tuple(lines))


def _between(e: Mapping[str, Any]) -> str:
    return "" if e["low"] is None else f"[{_signed(e['low'])}, {_signed(e['high'])}]"


def _signed(value: float) -> str:
    return f"{'+' if value > 0 else words.MINUS if value < 0 else ''}{words.digits(abs(value))}"
