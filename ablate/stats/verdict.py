"""What a measured effect allows one to say, and how much more measuring would allow more.

Accuracy is judged by non-inferiority: a loss larger than the margin must be ruled out before an
optimization counts as harmless. Efficiency is judged by superiority beyond a band that counts as no
difference. What is called better or worse must survive Holm's adjustment over its family and must
be larger than what the baseline does to itself. docs/explanation/statistics.md has the rules.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from math import ceil, inf, sqrt
from typing import Literal

from ablate.stats.estimate import t_quantile, z_quantile

ALPHA = 0.05
POWER = 0.80
DEFAULT_MARGIN = 0.02
"""Accuracy: the largest loss still accepted, as a share, where a recipe names none."""
DEFAULT_BAND = 0.05
"""Efficiency: ratios between 1/1.05 and 1.05 are no difference, where a recipe names none."""
MOST_PROBLEMS = 100_000
MOST_BLOCKS = 50

AccuracyStatus = Literal["better", "kept", "worse", "undecided", "not measured"]
EfficiencyStatus = Literal["better", "same", "worse", "undecided", "not measured"]
Verdict = Literal["keep", "drop", "trade-off", "no difference", "undecided"]


@dataclass(frozen=True)
class Effect:
    """An effect as the rules see it: up is better, 0 is no change.

    Accuracy in shares of one; efficiency as a log ratio, turned so that up is better. ``p`` is
    adjusted over its family, None where it cannot be had; ``deviation`` is the standard deviation
    over the ``n`` units (problems, blocks); ``within_noise``: no larger than the baseline's
    difference to itself; ``exact``: not a random quantity, such as the weights' bytes.
    """

    value: float | None
    low: float | None
    high: float | None
    p: float | None
    n: int
    deviation: float = 0.0
    within_noise: bool = False
    exact: bool = False


def accuracy_status(effect: Effect, margin: float) -> AccuracyStatus:
    """``worse``: a loss beyond the margin is shown; ``kept``: one is ruled out."""
    value, low, high = effect.value, effect.low, effect.high
    if value is None or low is None or high is None:
        return "not measured"
    sure = _sure(effect)
    if not effect.within_noise and (high < -margin or (sure and value < -margin)):
        return "worse"
    if sure and value > 0:
        return "better"
    return "kept" if low >= -margin else "undecided"


def efficiency_status(effect: Effect, band: float) -> EfficiencyStatus:
    """``band``: log ratios within ± it are no difference that matters."""
    value = effect.value
    if value is None:
        return "not measured"
    low, high = (value, value) if effect.exact else (effect.low, effect.high)
    if low is None or high is None:
        return "undecided"
    if -band <= low and high <= band:
        return "same"
    if not (effect.exact or _sure(effect)):
        return "undecided"
    return "better" if value > 0 else "worse"


def _sure(effect: Effect) -> bool:
    """Shown to differ from no change, and by more than the baseline differs from itself."""
    return effect.p is not None and effect.p < ALPHA and not effect.within_noise


def verdict(accuracy: AccuracyStatus, efficiency: Collection[EfficiencyStatus]) -> Verdict:
    """One word for an optimization.

    | accuracy | a metric better | a metric worse | verdict |
    | --- | --- | --- | --- |
    | worse | yes | any | trade-off |
    | worse | no | any | drop |
    | undecided | no | yes | drop if no metric is open, else undecided |
    | undecided | else | | undecided |
    | better | any | yes | trade-off |
    | better | any | no | keep |
    | kept | yes | yes | trade-off |
    | kept | yes | no | keep |
    | kept | no | yes | drop if no metric is open, else undecided |
    | kept | no | no | no difference if every metric is the same, else undecided |

    What surely costs memory and may yet turn out faster is undecided, not to be dropped.
    """
    gain, loss = "better" in efficiency, "worse" in efficiency
    if accuracy == "worse":
        return "trade-off" if gain else "drop"
    if accuracy == "better":
        return "trade-off" if loss else "keep"
    if loss and not gain:
        return "undecided" if "undecided" in efficiency else "drop"
    if accuracy != "kept":
        return "undecided"
    if gain:
        return "trade-off" if loss else "keep"
    measured = [status for status in efficiency if status != "not measured"]
    return "no difference" if measured and set(measured) == {"same"} else "undecided"


def more_problems(effect: Effect, margin: float) -> int | None:
    """How many more problems would tell a loss beyond the margin from none, at 80 % power.

    ``((z₀.₉₇₅ + z₀.₈₀) · s / |value + margin|)²`` in all, if the effect and its spread stay as
    measured; at least as many as rule out the margin when nothing changes (``z²/margin - z²``).
    None where that is more than 100,000 in all: the effect lies too near the margin.
    """
    if effect.value is None:
        return None
    distance = abs(effect.value + margin)
    reach = (z_quantile() + z_quantile(POWER)) * effect.deviation
    least = z_quantile() ** 2 * (1 / margin - 1) if margin > 0 else inf
    needed = max((reach / distance) ** 2 if distance else inf, least)
    return max(1, ceil(needed) - effect.n) if needed <= MOST_PROBLEMS else None


def more_blocks(effect: Effect, band: float) -> int | None:
    """How many more blocks would tell a difference from none, at 80 % power.

    The least n with ``(t₀.₉₇₅ + t₀.₈₀) · s / √n`` below the distance to what would decide: to no
    change, or to the far edge of the band, whichever is farther off. From one block there is no
    spread to go by: two more are the least to plan with. None where it is more than 50 in all.
    """
    if effect.value is None or effect.n < 2:
        return max(1, 3 - effect.n)
    distance = max(abs(effect.value), band - abs(effect.value))
    for n in range(effect.n + 1, MOST_BLOCKS + 1):
        quantiles = t_quantile(n - 1) + t_quantile(n - 1, POWER)
        if quantiles * effect.deviation / sqrt(n) < distance:
            return n - effect.n
    return None
