"""Answers matched between arms, problem by problem.

Inside a report every answer has a number (its *key*), so that an arm's answers are one array and
arms are compared by arithmetic. ``scores`` and ``pair`` do the same for a few answers by name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ablate.types import Record

Floats = NDArray[np.float64]
Ints = NDArray[np.int_]
Key = tuple[str, str, int]
"""(domain, problem id, sample): what is paired between two arms."""


@dataclass(frozen=True)
class Pairs:
    """Scores of two arms on the same problems, one entry a problem: shapes [n].

    A score is the share of right answers over those samples that both arms gave.
    ``missing_in_arm`` counts problems with at least one answer that only the baseline has,
    ``missing_in_baseline`` the other way round.
    """

    arm: Floats
    baseline: Floats
    missing_in_arm: int
    missing_in_baseline: int

    @property
    def differences(self) -> Floats:
        # Rounded: shares such as 1/3 + 2/3 must not make equal differences look distinct.
        return np.round(self.arm - self.baseline, 12)

    @property
    def better(self) -> int:
        """Problems answered right more often with the arm (wrong -> right)."""
        return int((self.differences > 0).sum())

    @property
    def worse(self) -> int:
        """Problems answered right less often with the arm (right -> wrong)."""
        return int((self.differences < 0).sum())


def scores(records: Iterable[Record]) -> dict[Key, float]:
    """Share of right answers by problem and sample, averaged over the blocks given."""
    found: dict[Key, list[int]] = {}
    for r in records:
        tally = found.setdefault((r.domain, r.problem_id, r.sample), [0, 0])
        tally[0] += r.correct
        tally[1] += 1
    return {key: right / asked for key, (right, asked) in found.items()}


def pair(arm: Mapping[Key, float], baseline: Mapping[Key, float]) -> Pairs:
    """Match two arms' scores by key, then average over samples within each problem."""
    keys = sorted({*arm, *baseline})
    numbers = {problem: i for i, problem in enumerate(dict.fromkeys(key[:2] for key in keys))}
    problem = np.fromiter((numbers[key[:2]] for key in keys), dtype=np.int_)
    ours, theirs = (
        np.fromiter((side.get(key, np.nan) for key in keys), dtype=np.float64)
        for side in (arm, baseline)
    )
    return match(ours, theirs, problem)


def combine(arms: Sequence[Floats], weights: Sequence[float]) -> Floats:
    """The weighted sum of arms' scores by key, NaN where any of them has no answer."""
    total = np.zeros_like(arms[0])
    for scores_of_arm, weight in zip(arms, weights, strict=True):
        total += weight * scores_of_arm
    return total


def by_problem(values: Floats, problem: Ints) -> Floats:
    """Mean over the keys of each problem, for problems with at least one value: shape [n].

    ``values`` [keys], NaN where there is none; ``problem`` [keys] numbers each key's problem.
    """
    here = ~np.isnan(values)
    sums = np.bincount(problem[here], weights=values[here])
    counts = np.bincount(problem[here])
    means: Floats = np.round(sums[counts > 0] / counts[counts > 0], 12)
    return means


def match(arm: Floats, baseline: Floats, problem: Ints) -> Pairs:
    """Two arms' scores by key, paired and averaged within each problem."""
    ours, theirs = ~np.isnan(arm), ~np.isnan(baseline)
    both = np.where(ours & theirs, 0.0, np.nan)
    return Pairs(
        by_problem(arm + both, problem),
        by_problem(baseline + both, problem),
        np.unique(problem[theirs & ~ours]).size,
        np.unique(problem[ours & ~theirs]).size,
    )
