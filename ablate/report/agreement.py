"""Which answers changed sides, and whether lossless optimizations changed more than chance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from ablate import stats
from ablate.report.arms import ArmData
from ablate.report.contrasts import RATIO_METRICS, Entry, by_block
from ablate.types import RunInfo

LISTED = 100
"""Problems listed by name for each arm and direction."""


def a_a(repeats: Sequence[ArmData], baseline: ArmData, info: RunInfo) -> Entry | None:
    """The baseline against itself: flips, and the spread of the ratios that should be 1.

    None where it was not run twice.
    """
    known = [r for r in repeats if r.blocks & baseline.blocks]
    if not known:
        return None
    return {
        "arms": [r.info.id for r in known],
        "blocks": sum(len(r.blocks & baseline.blocks) for r in known),
        "flips": _by_domain(_pairs(known, baseline), baseline, info),
        "ratios": {name: _spread(known, baseline, name) for name in RATIO_METRICS},
    }


def _spread(repeats: Sequence[ArmData], baseline: ArmData, name: str) -> Entry | None:
    both = [by_block(r, baseline, name) for r in repeats]
    pairs = [(x, y) for ours, theirs in both for x, y in zip(ours, theirs, strict=True)]
    ratios = [x / y for x, y in pairs if x and y]
    if not ratios:
        return None
    logs = [float(np.log(r)) for r in ratios]
    return {
        **asdict(stats.ratio_of_logs(logs)),
        "smallest": min(ratios),
        "largest": max(ratios),
        "deviation": stats.spread(logs),
    }


def flips(arm: ArmData, baseline: ArmData, info: RunInfo) -> Entry:
    """How many of an arm's answers changed sides, and which problems."""
    pairs = _pairs([arm], baseline)
    lost, won = _changed(pairs, arm)
    return {
        "arm": arm.info.id,
        **_by_domain(pairs, arm, info),
        "right_to_wrong_problems": lost[:LISTED],
        "wrong_to_right_problems": won[:LISTED],
        "problems_left_out": max(0, len(lost) - LISTED) + max(0, len(won) - LISTED),
    }


def lossless(
    arms: Sequence[ArmData], repeats: Sequence[ArmData], baseline: ArmData, info: RunInfo
) -> list[Entry]:
    """Arms with optimizations that claim to leave greedy answers as they are, against A/A.

    An arm is held against the one that lacks just those; where there is none, nothing can be said.
    """
    greedy = not info.sampling.get("temperature", 0)
    floor = _pairs(repeats, baseline)
    claimed = [(arm, _without(arm, [baseline, *arms])) for arm in arms if arm.info.lossless]
    return [
        _held_against(arm, plain, floor, greedy) for arm, plain in claimed if arm.blocks and plain
    ]


def _without(arm: ArmData, arms: Sequence[ArmData]) -> ArmData | None:
    """The arm that differs in nothing but the optimizations that claim to be lossless."""
    rest = {n: o for n, o in arm.info.plugins.items() if n not in arm.info.lossless}
    wanted = (rest, arm.info.settings)
    return next((a for a in arms if (a.info.plugins, a.info.settings) == wanted), None)


def _held_against(arm: ArmData, plain: ArmData, floor: Any, greedy: bool) -> Entry:
    problem = arm.keys.problem
    ours = _pairs([arm], plain)
    shares, floor_shares = (stats.flip_shares(pairs, problem) for pairs in (ours, floor))
    more, p = stats.excess(shares, floor_shares, problem)
    entry = {
        "arm": arm.info.id,
        "against": plain.info.id,
        "plugins": list(arm.info.lossless),
        "rate": asdict(stats.flips(ours, problem).rate),
        "floor_rate": asdict(stats.flips(floor, problem).rate),
        "excess": asdict(more),
        "p_value": p,
    }
    return entry | dict(zip(("status", "reason"), _lossless_words(entry, greedy), strict=True))


def _lossless_words(e: Entry, greedy: bool) -> tuple[str, str]:
    if e["excess"]["value"] is None:
        return "undecided", "There is no second run of the baseline to hold it against."
    rate, floor = (f"{100 * (e[k]['value'] or 0):.1f} %" for k in ("rate", "floor_rate"))
    counts = f"{rate} of answers changed sides, {floor} between two runs of the baseline"
    if not greedy:
        return "undecided", f"{counts}; with a temperature, lossless keeps the odds, not the text."
    if e["excess"]["low"] > 0 and e["p_value"] is not None and e["p_value"] < 0.05:
        return "refuted", f"{counts}: more than noise."
    if e["excess"]["high"] <= 0.02 or e["excess"]["value"] <= 0:
        return "supported", f"{counts}: no more than noise shows."
    return "undecided", f"{counts}: too few to tell."


def _pairs(runs: Sequence[ArmData], baseline: ArmData) -> list[tuple[stats.Floats, stats.Floats]]:
    return [
        (run.scores(frozenset({b})), baseline.scores(frozenset({b})))
        for run in runs
        for b in sorted(run.blocks & baseline.blocks)
    ]


def _by_domain(
    pairs: Sequence[tuple[stats.Floats, stats.Floats]], arm: ArmData, info: RunInfo
) -> Entry:
    def count(domain: str | None) -> Mapping[str, Any]:
        here = arm.keys.within(domain)
        part = [(run[here], other[here]) for run, other in pairs]
        return asdict(stats.flips(part, arm.keys.problem[here]))

    return {"overall": count(None), "domains": {d: count(d) for d in info.domains}}


def _changed(
    pairs: Sequence[tuple[stats.Floats, stats.Floats]], arm: ArmData
) -> tuple[list[Entry], list[Entry]]:
    """Problems with an answer that was lost or won in some block, by name."""
    lost, won = set(), set()
    for run, other in pairs:
        lost |= {arm.keys.names[k][:2] for k in np.flatnonzero((run == 0) & (other == 1))}
        won |= {arm.keys.names[k][:2] for k in np.flatnonzero((run == 1) & (other == 0))}
    return tuple([{"domain": d, "problem_id": p} for d, p in sorted(s)] for s in (lost, won))  # type: ignore[return-value]
