"""How a model behaves while it is served: who is late, what effort follows, what a budget buys.

``behaviours`` is the part of ``results.json``; ``sheets`` shows it in report.md and report.html.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ablate.report.arms import ArmData
from ablate.report.behaviours.budget import budgets
from ablate.report.behaviours.effort import effort
from ablate.report.behaviours.late import late
from ablate.report.behaviours.models import models
from ablate.report.contrasts import Entry
from ablate.types import RunInfo


def behaviours(
    info: RunInfo, arms: Mapping[str, ArmData], floor: Entry | None, contrasts: list[Entry]
) -> dict[str, Any]:
    """Everything of it, by kind."""
    return {
        "stragglers": [late(arm) for arm in arms.values() if arm.blocks],
        "effort": effort(arms, info),
        "budgets": budgets(arms, info, floor),
        "models": models(arms, info, contrasts),
    }
