"""What load does to a trial's numbers, one sentence each: too much of it, or a late client."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ablate.metrics import oversaturated
from ablate.report import words
from ablate.report.arms import ArmData

LATE_MS = 50.0
LATE_SHARE = 0.1
"""A client's lateness is noted above both: so much, and such a share of the mean E2E latency."""


def load_notes(arms: Mapping[str, ArmData], contrasts: Iterable[Any]) -> list[str]:
    """Over-saturation, lateness, answers lost to load, and energy that may not be read."""
    found = [note for arm in arms.values() for note in (*_saturated(arm), *_late(arm))]
    for entry in contrasts:
        found += _lost(entry, arms[entry["arm"]])
    texts = (t.result.info.get("energy") for arm in arms.values() for t in arm.good.values())
    return [*found, *dict.fromkeys(text for text in texts if text)]


def _saturated(arm: ArmData) -> Iterator[str]:
    full = [b for b, trial in arm.good.items() if oversaturated(trial.metrics)]
    if full:
        growth = max(arm.metric("backlog_growth", b) or 0.0 for b in full)
        yield (
            f"{arm.info.id}: over-saturated in {len(full)} of {len(arm.blocks)} blocks: of the "
            f"requests that arrive {words.percent(growth)} pile up, so latencies grow with the "
            "length of the run. Lower the rate, or send more requests if each takes as long as "
            "the whole run."
        )


def _late(arm: ArmData) -> Iterator[str]:
    late = {b: arm.metric("max_dispatch_lateness_ms", b) or 0.0 for b in arm.blocks}
    worst = max(late, key=lambda b: late[b], default=None)
    whole = None if worst is None else arm.metric("mean_e2el_ms", worst)
    if worst is not None and whole and late[worst] > max(LATE_MS, LATE_SHARE * whole):
        yield (
            f"{arm.info.id}, block {worst}: the client sent requests up to "
            f"{words.quantity('max_dispatch_lateness_ms', late[worst])} late; latencies count from "
            "the schedule and hold that."
        )


def _lost(entry: Any, arm: ArmData) -> Iterator[str]:
    """Where only the workload differs, accuracy differs by what load did to the answers."""
    keys = {key.split(".")[0] for key in arm.info.settings}
    if arm.info.plugins or keys != {"workload"}:
        return
    ours, theirs = (entry["outcomes"]["overall"][side] for side in ("arm", "baseline"))
    for outcome, what in (("truncated", "cut off"), ("unparsed", "without an answer to read")):
        if ours[outcome] != theirs[outcome]:
            yield (
                f"{arm.info.id}: under its workload {ours[outcome]} answers were {what}, "
                f"{theirs[outcome]} under the baseline's; that is in the change of accuracy."
            )
