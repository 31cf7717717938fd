"""What a metric is, and the few means that every family of them needs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Better = Literal["higher", "lower", "neither"]
Values = dict[str, float | None]
Floats = NDArray[np.float64]

SERVE = "vLLM `bench serve`"
STUDY = "arXiv 2510.18672"
SEEN = f"seen in {STUDY}, formula ours"


@dataclass(frozen=True)
class Metric:
    """What one number means. ``source`` names whose definition it is, where it is not ours.

    ``timed``: it depends on the clock or on the machine's state, so a resumed trial has none.
    ``per_domain``: it is also given for the requests of one domain.
    """

    name: str
    unit: str
    better: Better
    formula: str
    source: str = ""
    timed: bool = True
    per_domain: bool = False


def ratio(part: float | None, whole: float | None) -> float | None:
    """None where there is nothing to divide, or by."""
    return None if part is None or not whole else part / whole


def floats(values: Iterable[float]) -> Floats:
    return np.fromiter(values, dtype=np.float64)


def time_mean(times: Floats, values: Floats) -> float | None:
    """Mean over time: each sample [n] holds until the next, the last only marks the end."""
    if not values.size:
        return None
    held = np.diff(times)
    return float(np.average(values[:-1], weights=held) if held.sum() > 0 else values.mean())
