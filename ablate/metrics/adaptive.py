"""Does effort follow difficulty? Output length and running time against what a domain calls hard.

Within one domain only: difficulties of two domains do not compare.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from scipy import stats

from ablate.metrics.base import Floats, Metric, Values, floats
from ablate.types import Record

MOST_PAIRED = 500
"""Requests whose slopes are taken pair by pair; of more, an even choice."""

_SPEARMAN = "Spearman 1904"
_THEIL_SEN = "Theil 1950, Sen 1968"
_SLOPE = (
    "Theil-Sen slope: median slope over all pairs of requests of unlike difficulty; a few "
    "endless or cut-off answers, which would turn a least-squares line, leave it in place"
)
_NULL = "null without two levels of difficulty, and over several domains"
METRICS: tuple[Metric, ...] = (
    Metric(
        "difficulty_length_correlation",
        "rank correlation",
        "neither",
        f"Spearman's rank correlation of difficulty and output tokens; {_NULL}",
        _SPEARMAN,
        timed=False,
        per_domain=True,
    ),
    Metric(
        "difficulty_time_correlation",
        "rank correlation",
        "neither",
        f"the same of difficulty and finished - dispatched; {_NULL}",
        _SPEARMAN,
        per_domain=True,
    ),
    Metric(
        "tokens_per_difficulty",
        "tokens",
        "neither",
        f"output tokens more for a step of difficulty. {_SLOPE}; {_NULL}",
        _THEIL_SEN,
        timed=False,
        per_domain=True,
    ),
    Metric(
        "seconds_per_difficulty",
        "s",
        "neither",
        f"the same of finished - dispatched; {_NULL}",
        _THEIL_SEN,
        per_domain=True,
    ),
)


def length_by_difficulty(records: Sequence[Record]) -> Values:
    """How output length follows difficulty, of one domain's requests."""
    rank, slope = _follow(records, lambda r: r.completion.output_tokens)
    return {"difficulty_length_correlation": rank, "tokens_per_difficulty": slope}


def time_by_difficulty(records: Sequence[Record]) -> Values:
    """How running time follows difficulty, of one domain's requests."""
    rank, slope = _follow(records, lambda r: r.completion.finished - r.completion.dispatched)
    return {"difficulty_time_correlation": rank, "seconds_per_difficulty": slope}


def _follow(
    records: Sequence[Record], effort: Callable[[Record], float]
) -> tuple[float | None, float | None]:
    known = [(r.difficulty, effort(r)) for r in records if r.difficulty is not None]
    return rank_correlation(*_columns(known)), slope(*_columns(known))


def _columns(known: Sequence[tuple[float, float]]) -> tuple[Floats, Floats]:
    return floats(x for x, _ in known), floats(y for _, y in known)


def rank_correlation(x: Floats, y: Floats) -> float | None:
    """Spearman's, None where either is the same everywhere."""
    if x.size < 2 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return None
    return float(np.corrcoef(stats.rankdata(x), stats.rankdata(y))[0, 1])


def slope(x: Floats, y: Floats) -> float | None:
    """Theil-Sen's, None where ``x`` is the same everywhere."""
    if x.size > MOST_PAIRED:
        kept = np.argsort(x, kind="stable")[np.linspace(0, x.size - 1, MOST_PAIRED).astype(np.int_)]
        x, y = x[kept], y[kept]
    if x.size < 2 or np.ptp(x) == 0:
        return None
    rows, columns = np.nonzero(x[:, None] > x[None, :])
    return float(np.median((y[rows] - y[columns]) / (x[rows] - x[columns])))
