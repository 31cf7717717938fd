"""Whether the machine itself grew faster or slower while the blocks went by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from math import log
from typing import Any

from ablate import stats
from ablate.report import words
from ablate.report.arms import ArmData
from ablate.report.cells import Cell, Sheet
from ablate.report.contrasts import Entry

METRICS = ("output_throughput", "mean_tpot_ms", "mean_e2el_ms")
NOTED = 0.05
"""Drifts of less are not worth a sentence."""
AID = (
    "Each block against the first: a mean over the arms that both finished, each compared with "
    "itself [95 % interval over arms]. Arms are compared within blocks, so a drift that all share "
    "cancels; one that is large says that the machine was not at rest."
)


def drift(arms: Mapping[str, ArmData]) -> list[Entry]:
    """Every block after the first against it, with arms as the units; speed metrics only."""
    blocks = sorted(frozenset().union(*(arm.blocks for arm in arms.values())))
    return [
        {
            "block": block,
            "against": blocks[0],
            "ratios": {name: asdict(_moved(arms, name, block, blocks[0])) for name in METRICS},
        }
        for block in blocks[1:]
    ]


def _moved(arms: Mapping[str, ArmData], name: str, block: int, first: int) -> stats.Estimate:
    pairs = [(arm.metric(name, block), arm.metric(name, first)) for arm in arms.values()]
    return stats.ratio_of_logs([log(x / y) for x, y in pairs if x and y], unit="arm")


def drift_notes(found: list[Entry]) -> list[str]:
    """A sentence for each block in which the machine surely had another speed than at first."""
    return [
        f"The machine drifted: over all arms, block {e['block']} was "
        f"{' '.join(words.change(name, r))} than block {e['against']}."
        for e in found
        for name, r in e["ratios"].items()
        if name == METRICS[0] and _sure(r) and abs(log(r["value"])) > log(1 + NOTED)
    ]


def _sure(r: Mapping[str, Any]) -> bool:
    return r["low"] is not None and (r["low"] > 1 or r["high"] < 1)


def drift_sheet(results: Mapping[str, Any]) -> list[Sheet]:
    """One row a block after the first; nothing with a single block."""
    titles = ("Output throughput", "Per token", "Whole answer")
    rows = tuple(
        (
            f"block {e['block']} against {e['against']}",
            tuple(Cell(words.change(name, e["ratios"][name])) for name in METRICS),
        )
        for e in results["drift"]
    )
    return [Sheet("Drift of the machine", titles, rows, AID)] if rows else []
