"""How good expected lengths were."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import exp, log

import numpy as np

from ablate.stats import spearman


def quality(pairs: Sequence[tuple[float, int]]) -> dict[str, float]:
    """Of expected and actual lengths: how many, mean |ln(expected / actual)|, rank correlation.

    Leaves out what so few do not tell.
    """
    found = {"num_predicted": float(len(pairs))}
    if pairs:
        errors = [abs(log(expected / actual)) for expected, actual in pairs]
        found["mean_abs_log_error"] = sum(errors) / len(errors)
        expected, actual = np.array(pairs, dtype=np.float64).T
        correlation = spearman(expected, actual).value
        if correlation is not None:
            found["length_rank_correlation"] = correlation
    return found


def in_words(numbers: Mapping[str, float]) -> str:
    """The same as a sentence."""
    if not numbers["num_predicted"]:
        return "no length was expected from others'"
    said = (
        f"{numbers['num_predicted']:.0f} lengths were expected from others', off by a factor of "
        f"{exp(numbers['mean_abs_log_error']):.2f} on average"
    )
    if "length_rank_correlation" in numbers:
        said += f" (rank correlation {numbers['length_rank_correlation']:.2f})"
    return said
