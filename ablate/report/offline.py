"""Accuracy under load against offline: every arm against its twin, which serves a batch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ablate import stats
from ablate.report import words
from ablate.report.arms import ArmData
from ablate.report.behaviours.models import MOODS, standing_of
from ablate.report.cells import EMPTY, Cell, Sheet
from ablate.report.contrasts import Entry, accuracy_change, paired_blocks
from ablate.report.judge import margin_of
from ablate.report.noise import within_noise
from ablate.types import RunInfo

AID = (
    "Right answers under load, then offline: the same requests, served as a batch in block 0; then "
    "the difference in percentage points [95 % interval], paired by problem. Equal: the interval "
    "lies within the recipe's margin on both sides. Open: it does not tell."
)


def offline(
    arms: Mapping[str, ArmData], twins: Mapping[str, ArmData], info: RunInfo, floor: Entry | None
) -> list[Entry]:
    """An entry for every arm that has a twin with results. ``twins``: by the arm's id."""
    pairs = [(arm, twins[name]) for name, arm in arms.items() if name in twins]
    return [
        {
            "arm": arm.info.id,
            "offline": twin.info.id,
            "overall": _held(arm, twin, None, info, floor),
            "domains": {d: _held(arm, twin, d, info, floor) for d in info.domains},
        }
        for arm, twin in pairs
        if arm.blocks and twin.blocks
    ]


def _held(
    arm: ArmData, twin: ArmData, domain: str | None, info: RunInfo, floor: Entry | None
) -> Entry:
    change = accuracy_change(arm, twin, domain)
    noise = within_noise(floor, "accuracy", domain, change["value"])
    shares = zip(("under_load", "alone"), (arm, twin), paired_blocks(arm, twin), strict=True)
    return {
        **{name: _share(one, blocks, domain) for name, one, blocks in shares},
        **{k: change[k] for k in ("value", "low", "high", "n", "better", "worse", "p_value")},
        "within_noise": noise,
        "standing": standing_of(change["low"], change["high"], bool(noise), margin_of(info)),
    }


def _share(arm: ArmData, blocks: frozenset[int], domain: str | None) -> float | None:
    here = arm.keys.within(domain)
    scores = stats.by_problem(arm.scores(blocks)[here], arm.keys.problem[here])
    return stats.wilson(scores).value


def offline_sheet(results: Mapping[str, Any]) -> list[Sheet]:
    """One row an arm; nothing where the recipe has no ``workload.offline``."""
    domains = results["run"]["domains"]
    places = [*domains, None] if len(domains) > 1 else [*domains]
    rows = tuple(
        (e["arm"], tuple(_cell(e["overall"] if d is None else e["domains"][d]) for d in places))
        for e in results["offline"]
    )
    columns = tuple(d or "all" for d in places)
    return [Sheet("Accuracy under load", columns, rows, AID)] if rows else []


def _cell(e: Mapping[str, Any]) -> Cell:
    if e["value"] is None:
        return EMPTY
    shares = f"{words.percent(e['under_load'])}, {words.percent(e['alone'])}"
    change = f"{words.points(e['value'])} {words.interval(e['low'], e['high'], signed=True)}"
    return Cell((shares, change, e["standing"]), MOODS.get(e["standing"], "plain"))
