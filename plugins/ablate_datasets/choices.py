"""What the multiple-choice data sets have in common: how they are asked by chat."""

from __future__ import annotations

from collections.abc import Sequence
from string import ascii_uppercase

ASK = "Please reason step by step, and put the letter of the correct choice within \\boxed{}."

REASONING = (
    "Asked as one message that lists the choices and asks for the letter within \\boxed{}; graded by "
    "the letter in the last box, or last said to be the answer"
)


def asked(question: str, choices: Sequence[str]) -> str:
    """A question with its lettered choices, and what is wanted."""
    lettered = zip(ascii_uppercase, choices, strict=False)
    listed = "\n".join(f"({letter}) {choice}" for letter, choice in lettered)
    return f"{question}\n\n{listed}\n\n{ASK}"
