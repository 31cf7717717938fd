"""What the multiple-choice data sets have in common: how they are asked by chat."""

from __future__ import annotations

from collections.abc import Sequence
from string import ascii_uppercase

ASK = "Please reason step by step, and put the letter of the correct choice within \\boxed{}."

REASONING = (
    "Asked as one message that lists the choices and asks for the letter within \\boxed{}; graded "
    "by the letter in the last box, or the last that is said to be the answer"
)


def listed(choices: Sequence[str]) -> str:
    """A line for each choice, lettered."""
    return "\n".join(f"({a}) {c}" for a, c in zip(ascii_uppercase, choices, strict=False))


def asked(question: str, choices: Sequence[str]) -> str:
    """A question with its choices, and what is wanted."""
    return f"{question}\n\n{listed(choices)}\n\n{ASK}"


def wrong_choices(choices: object, answer: str | None) -> str | None:
    """Why these are no choices with that letter for an answer, in words; None if they are."""
    if not isinstance(choices, (list, tuple)) or not all(isinstance(c, str) for c in choices):
        return "the choices must be a list of texts"
    if not 2 <= len(choices) <= len(ascii_uppercase):
        return f"there must be 2 to {len(ascii_uppercase)} choices, not {len(choices)}"
    if answer is None or answer not in ascii_uppercase[: len(choices)]:
        last = ascii_uppercase[len(choices) - 1]
        return f"the answer must be one of the letters A to {last}, not {answer or 'another'}"
    return None
