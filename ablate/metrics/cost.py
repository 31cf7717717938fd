"""What answers take of energy and money."""

from __future__ import annotations

from ablate.metrics.base import Metric, Values, ratio
from ablate.types import TrialResult

_READ = "while measuring, of the machine's processors, memory and GPUs, as far as they tell"
_ML_ENERGY = "ML.ENERGY benchmark, NeurIPS 2025"
METRICS: tuple[Metric, ...] = (
    Metric(
        "energy_joules",
        "J",
        "lower",
        f"energy counters, end minus start: {_READ}; whatever else runs there is in it",
        "Zeus (RAPL, NVML)",
    ),
    Metric("mean_power_watts", "W", "lower", "energy_joules / running_time", _ML_ENERGY),
    Metric(
        "joules_per_output_token",
        "J/token",
        "lower",
        "energy_joules / total_output_tokens",
        _ML_ENERGY,
    ),
    Metric("joules_per_correct", "J", "lower", "energy_joules / correct"),
    Metric(
        "cost_per_million_output_tokens",
        "money",
        "lower",
        "price (per hour of the machine, in the recipe's currency) x running_time / 3600 / "
        "total_output_tokens x 1e6",
    ),
    Metric("cost_per_correct", "money", "lower", "price x running_time / 3600 / correct"),
)


def cost_metrics(result: TrialResult, answers: Values, price: float | None) -> Values:
    """Energy and money by token and by right answer. ``price``: of an hour of the machine."""
    joules = sum(result.energy.values()) if result.energy else None
    seconds = result.running_time
    paid = None if price is None or seconds is None else price * seconds / 3600
    tokens, correct = answers["total_output_tokens"], answers["correct"]
    by_token = ratio(paid, tokens)
    return {
        "energy_joules": joules,
        "mean_power_watts": ratio(joules, seconds),
        "joules_per_output_token": ratio(joules, tokens),
        "joules_per_correct": ratio(joules, correct),
        "cost_per_million_output_tokens": None if by_token is None else by_token * 1e6,
        "cost_per_correct": ratio(paid, correct),
    }
