"""One model against another, domain by domain: which domains it is made for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from ablate.report import words
from ablate.report.arms import ArmData
from ablate.report.cells import EMPTY, Cell, Mood, Sheet
from ablate.report.contrasts import Entry
from ablate.report.judge import margin_of
from ablate.types import RunInfo

Standing = Literal["ahead", "behind", "equal", "open"]
AID = (
    "Accuracy of the first model minus that of the second, percentage points [95 % interval]. "
    "Equal: the interval lies within the recipe's margin on both sides. Open: it does not tell."
)


def models(arms: Mapping[str, ArmData], info: RunInfo, contrasts: list[Entry]) -> list[Entry]:
    """Every arm that differs from the baseline in its model alone: baseline minus arm."""
    return [
        {
            "arm": c["arm"],
            "model": info.model,
            "other": _model(arms[c["arm"]]),
            "overall": _standing(c["accuracy"]["overall"], margin_of(info)),
            "domains": {
                d: _standing(e, margin_of(info)) for d, e in c["accuracy"]["domains"].items()
            },
        }
        for c in contrasts
        if _model(arms[c["arm"]])
    ]


def _model(arm: ArmData) -> str | None:
    """The arm's model, if that is all that it sets."""
    keys = {key.split(".")[0] for key in arm.info.settings}
    if arm.info.plugins or keys - {"price"} != {"model"}:
        return None
    given = arm.info.settings.get("model", arm.info.settings.get("model.id"))
    return str(given.get("id") if isinstance(given, Mapping) else given)


def _standing(change: Mapping[str, Any], margin: float) -> Entry:
    """A contrast (arm minus baseline) turned round."""
    value, low, high = (None if change[k] is None else -change[k] for k in ("value", "high", "low"))
    word = standing_of(low, high, bool(change.get("within_noise")), margin)
    return {"value": value, "low": low, "high": high, "n": change["n"], "standing": word}


def standing_of(
    low: float | None, high: float | None, within_noise: bool, margin: float
) -> Standing:
    """What an interval of a difference says, held against noise and a margin."""
    if low is None or high is None:
        return "open"
    if (low > 0 or high < 0) and not within_noise:
        return "ahead" if low > 0 else "behind"
    return "equal" if -margin <= low and high <= margin else "open"


def models_sheet(results: Mapping[str, Any]) -> list[Sheet]:
    """One row a pair of models, one column a domain."""
    found = results["behaviours"]["models"]
    domains = results["run"]["domains"]
    rows = tuple(
        (
            f"{e['model']} {words.MINUS} {e['other']}",
            (*(_cell(e["domains"][d]) for d in domains), _cell(e["overall"])),
        )
        for e in found
    )
    return [Sheet("Model against model", (*domains, "all"), rows, AID)] if rows else []


MOODS: Mapping[str, Mood] = {"ahead": "better", "behind": "worse"}


def _cell(e: Mapping[str, Any]) -> Cell:
    if e["value"] is None:
        return EMPTY
    lines = (words.points(e["value"]), words.interval(e["low"], e["high"], signed=True))
    return Cell((*lines, e["standing"]), MOODS.get(e["standing"], "plain"))
