"""What a reader must know before believing the numbers, one sentence each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from statistics import median
from typing import Any

from ablate.report.arms import ArmData
from ablate.report.load_notes import load_notes
from ablate.types import RunInfo

CPU_DROP = 0.8
"""A trial whose CPU / wall ratio is below this share of its arm's median was disturbed."""


def notes(info: RunInfo, arms: Mapping[str, ArmData], contrasts: Iterable[Any]) -> list[str]:
    """Every caveat of a run, the gravest first."""
    found = [*_progress(info, arms)]
    for arm in arms.values():
        found += _trials(info, arm)
    for arm in arms.values():
        found += _disturbed(arm)
    compared = list(contrasts)
    for entry in compared:
        found += _pairing(entry)
    return [*found, *load_notes(arms, compared)]


def _progress(info: RunInfo, arms: Mapping[str, ArmData]) -> Iterator[str]:
    ended = sum(len(a.trials) for a in arms.values())
    planned = len(info.places)
    if ended < planned:
        yield f"Unfinished run: {ended} of {planned} trials have ended; numbers may still change."
    if info.blocks < 2:
        yield "One block only: ratios have no interval. Set blocks to 3 or more to get them."
    if not any(a.replicate for a in info.arms):
        yield "No noise floor: the baseline was not run a second time."
    if any("max_request_rate" in t.result.counters for a in arms.values() for t in a.good.values()):
        yield (
            "Each trial was measured at the highest request rate that kept the bounds of slo "
            "(workload.find). Arms had different loads: compare rates, not latencies."
        )


def _trials(info: RunInfo, arm: ArmData) -> Iterator[str]:
    for block, trial in sorted(arm.trials.items()):
        name, got = f"{arm.info.id}, block {block}", trial.answers
        if trial.result.status == "failed":
            if got:
                yield f"{name}: failed; its {got} finished answers are kept but not counted."
            continue
        if trial.result.resumed:
            yield f"{name}: resumed after an interruption, so it is left out of speed and memory."
        if trial.result.grading_given_up:
            yield (
                f"{name}: {trial.result.grading_given_up} answers could not be graded in the time "
                "that grading may take; they are not counted as right."
            )
        if got != info.requests_per_trial:
            yield f"{name}: {got} answers instead of {info.requests_per_trial}."
    yield from _never_visible(arm)


def _never_visible(arm: ArmData) -> Iterator[str]:
    asked = sum(trial.answers for trial in arm.good.values())
    hidden = sum(trial.hidden for trial in arm.good.values())
    if hidden:
        yield (
            f"{arm.info.id}: {hidden} of {asked} requests never showed a visible token (reasoning "
            "that did not end, or blanks); time to first visible token is over the others."
        )


def _disturbed(arm: ArmData) -> Iterator[str]:
    """An arm's own blocks: under a given load, one that needs less of the machine idles more."""
    known = {b: r for b in arm.good if (r := arm.metric("cpu_wall_ratio", b)) is not None}
    usual = median(known.values()) if known else 0.0
    for block, ratio in sorted(known.items()):
        if ratio < CPU_DROP * usual:
            yield (
                f"{arm.info.id}, block {block}: its share of CPU time fell to {ratio:.2f} (the "
                f"arm's median is {usual:.2f}); other work may have slowed it."
            )


def _pairing(entry: Any) -> Iterator[str]:
    if not entry["blocks"]["arm"] or not entry["blocks"]["baseline"]:
        return
    if entry["blocks"]["arm"] != entry["blocks"]["baseline"]:
        yield f"{entry['arm']}: shares no finished block with the baseline, so no speed ratios."
    overall = entry["accuracy"]["overall"]
    for count, whose in (
        (overall["missing_in_arm"], "the baseline"),
        (overall["missing_in_baseline"], entry["arm"]),
    ):
        if count:
            yield (
                f"{entry['arm']}: {count} problems have answers that only {whose} gave; these "
                f"answers are left out of the comparison, which rests on {overall['n']} problems."
            )
