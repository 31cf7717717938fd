"""How often two runs disagree on whether an answer is right.

Between two runs of the same thing this is the noise of batching and rounding; an optimization that
is said to be lossless may show as much and no more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ablate.stats.accuracy import mean_change, wilson
from ablate.stats.estimate import Estimate
from ablate.stats.pairing import Floats, Ints, by_problem
from ablate.stats.significance import sign_flip


@dataclass(frozen=True)
class Flips:
    """``answers``: compared, one a problem, sample and block; ``rate``: share that changed sides,
    averaged by problem, with its Wilson interval over problems.
    """

    answers: int
    right_to_wrong: int
    wrong_to_right: int
    rate: Estimate


def flips(pairs: Sequence[tuple[Floats, Floats]], problem: Ints) -> Flips:
    """``pairs``: by block the scores by key (0, 1, NaN) of (a run, the run it is held against)."""
    lost = sum(int(((run == 0) & (other == 1)).sum()) for run, other in pairs)
    won = sum(int(((run == 1) & (other == 0)).sum()) for run, other in pairs)
    compared = sum(int((~np.isnan(run + other)).sum()) for run, other in pairs)
    return Flips(compared, lost, won, wilson(by_problem(flip_shares(pairs, problem), problem)))


def flip_shares(pairs: Sequence[tuple[Floats, Floats]], problem: Ints) -> Floats:
    """By key, the share of blocks in which the two runs disagree; NaN where none has both."""
    if not pairs:
        return np.full(problem.size, np.nan)
    apart = np.stack([np.abs(run - other) for run, other in pairs])
    seen = ~np.isnan(apart)
    counts = seen.sum(axis=0)
    shares: Floats = np.full(problem.size, np.nan)
    shares[counts > 0] = np.where(seen, apart, 0).sum(axis=0)[counts > 0] / counts[counts > 0]
    return shares


def excess(arm: Floats, floor: Floats, problem: Ints) -> tuple[Estimate, float | None]:
    """The arm's flip shares by key less the floor's, with its interval and p-value."""
    d = by_problem(arm - floor, problem)
    return mean_change(d), sign_flip(d)
