"""Estimates with their uncertainty. Pure; the formulas are explained in docs/explanation.

Two designs, never mixed:

* *Accuracy* is paired by problem. Problems are the independent units; samples and blocks of one
  problem are averaged first.
* *Speed* is paired by block. Runs are the independent units; the requests of one run share a
  queue and a machine and are no repetitions.
"""

from ablate.stats.accuracy import (
    MIN_CHANGED,
    RESAMPLES,
    accuracy,
    accuracy_difference,
    mcnemar,
    mean_change,
    wilson,
)
from ablate.stats.agreement import Flips, excess, flip_shares, flips
from ablate.stats.association import spearman, theil_sen
from ablate.stats.budget import Knee, knee
from ablate.stats.decompose import decompose
from ablate.stats.design import (
    Comparison,
    Setting,
    compare,
    interactions,
    level_name,
    levels_of,
    main_effects,
)
from ablate.stats.estimate import CONFIDENCE, Estimate, t_quantile, z_quantile
from ablate.stats.pairing import Floats, Ints, Key, Pairs, by_problem, combine, match, pair, scores
from ablate.stats.pareto import dominators
from ablate.stats.sampling import majority_at_k, over_k, pass_at_k
from ablate.stats.significance import holm, sign_flip
from ablate.stats.speed import by_request, ratio, ratio_of_logs, ratio_p, spread, unpaired_ratio
from ablate.stats.tango import tango_interval

__all__ = [
    "CONFIDENCE",
    "Comparison",
    "Estimate",
    "Flips",
    "Floats",
    "Ints",
    "Key",
    "Knee",
    "MIN_CHANGED",
    "Pairs",
    "Setting",
    "RESAMPLES",
    "accuracy",
    "accuracy_difference",
    "by_problem",
    "by_request",
    "combine",
    "compare",
    "decompose",
    "dominators",
    "excess",
    "flip_shares",
    "flips",
    "holm",
    "interactions",
    "level_name",
    "knee",
    "levels_of",
    "main_effects",
    "majority_at_k",
    "match",
    "mcnemar",
    "mean_change",
    "over_k",
    "pair",
    "pass_at_k",
    "ratio",
    "ratio_of_logs",
    "ratio_p",
    "scores",
    "sign_flip",
    "spearman",
    "spread",
    "t_quantile",
    "tango_interval",
    "theil_sen",
    "unpaired_ratio",
    "wilson",
    "z_quantile",
]
