"""What the data sets of mathematics have in common: how reasoning models are asked."""

from __future__ import annotations

from dataclasses import replace

from ablate.types import Problem

ASK = "Please reason step by step, and put your final answer within \\boxed{}."

# What the harness lets a model write where a task does not say.
MAX_GEN_TOKS = 256


def asked(text: str) -> str:
    """A problem's text as a user's message."""
    return f"{text}\n\n{ASK}"


def continued(made: Problem, prompt: str, stop: tuple[str, ...], most: int, gold: str) -> Problem:
    """The problem as the harness asks it: text to go on with; ``gold`` is for its grader."""
    return replace(made, prompt=prompt, chat=False, stop=stop, max_tokens=most, payload=gold)
