"""Knights, who tell the truth, and knaves, who lie: who is what follows from one to the next."""

from __future__ import annotations

from random import Random

from ablate.domains._asking import ask
from ablate.domains._split import Worked, think

NAMES = (
    "Ann", "Bob", "Cal", "Dan", "Eve", "Fay", "Gus", "Hal", "Ivy", "Jan",
    "Kim", "Leo", "Mia", "Ned", "Pam", "Ray", "Sue", "Tom", "Una", "Vic",
)  # fmt: skip
RULE = "Knights tell the truth, knaves lie."
OTHERS = "Who calls whom true or false:"


def knights(rng: Random, people: int) -> Worked:
    """A puzzle with one solution about ``people`` islanders, of whom three are asked.

    The first compares the second with himself, which gives the second away: "of my kind" can only
    be said of a knight, by a knight or by a knave. Every other speaks of the next, the last of the
    first, so each statement settles one person more. They stand in that order: what is hard is to
    keep the deduction right over many steps, not to find the next statement.

    A statement is three words without one between them, and what is said has other words than what
    is true: a small model finds what stands beside a name long before what stands a word further.
    """
    names = rng.sample(NAMES, people)
    kinds = dict(zip(names, rng.choices(("knight", "knave"), k=people), strict=True))
    first, second = names[:2]
    anchor = f"{first} says {second} is {'' if kinds[second] == 'knight' else 'not '}of my kind"
    statements, lines = [], [f"first {anchor}; {second} {kinds[second]}"]
    for speaker, other in zip(names[1:], [*names[2:], first], strict=True):
        said = f"{speaker} {other} {_claimed(kinds[speaker], kinds[other])}"
        statements.append(said)
        lines.append(f"{kinds[speaker]} {said}; {other} {kinds[other]}")
    asked = ask(rng, names, kinds)
    told = " ".join(f"{statement}." for statement in statements)
    prompt = f"{RULE} {anchor}. {OTHERS} {told} {asked.question}"
    return Worked(prompt, think([*lines, asked.line], asked.answer), asked.answer)


def _claimed(speaker: str, kind: str) -> str:
    """What a knight or knave calls somebody of that kind; "true" is who tells the truth."""
    return "true" if (speaker == "knight") == (kind == "knight") else "false"
