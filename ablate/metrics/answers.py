"""What was answered, and at what length."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import get_args

from ablate.metrics.base import Better, Metric, Values, ratio
from ablate.types import Outcome, Record


def _answer(name: str, unit: str, better: Better, formula: str) -> Metric:
    return Metric(name, unit, better, formula, timed=False, per_domain=True)


METRICS: tuple[Metric, ...] = (
    _answer("completed", "requests", "neither", "finished requests"),
    _answer("accuracy", "share", "higher", "correct / completed"),
    _answer("correct", "requests", "higher", "answers that the grader accepts"),
    _answer("wrong", "requests", "lower", "answers that were read and are not right"),
    _answer("unparsed", "requests", "lower", "outputs that ended without an answer to read"),
    _answer("truncated", "requests", "lower", "outputs cut off at the token limit, no answer yet"),
    _answer("total_input_tokens", "tokens", "neither", "sum of prompt tokens"),
    _answer("total_output_tokens", "tokens", "neither", "sum of output tokens"),
    _answer("mean_output_tokens", "tokens", "neither", "total_output_tokens / completed"),
    _answer("thinking_share", "share", "neither", "thinking tokens / output tokens"),
    _answer(
        "requests_without_visible",
        "requests",
        "lower",
        "requests that never showed a token after their reasoning; left out of TTFVT",
    ),
)


def answer_metrics(records: Sequence[Record]) -> Values:
    """What was answered and at what length."""
    outcomes = Counter(r.outcome for r in records)
    output = sum(r.completion.output_tokens for r in records)
    thinking = sum(r.completion.thinking_tokens for r in records)
    counts: Values = {outcome: outcomes[outcome] for outcome in get_args(Outcome)}
    return counts | {
        "completed": len(records),
        "accuracy": ratio(outcomes["correct"], len(records)),
        "total_input_tokens": sum(r.completion.prompt_tokens for r in records),
        "total_output_tokens": output,
        "mean_output_tokens": ratio(output, len(records)),
        "thinking_share": ratio(thinking, output),
        "requests_without_visible": sum(r.completion.first_visible is None for r in records),
    }
