"""Knights, who tell the truth, and knaves, who lie: who is what follows from one to the next."""

from __future__ import annotations

from itertools import pairwise
from random import Random

from ablate.domains._asking import ask
from ablate.domains._split import Worked, think

# The last ones are for long problems only: the shipped tokenizer makes several tokens of them.
NAMES = (
    "Ann", "Bob", "Cal", "Dan", "Eve", "Fay", "Gus", "Hal", "Ivy", "Jan",
    "Kim", "Leo", "Mia", "Ned", "Pam", "Ray", "Sue", "Tom", "Una", "Vic",
    "Sam", "Ben", "Tim",
)  # fmt: skip
COMMON = 20

COMPARED = 0.5  # how often a statement compares with somebody before, where there is one
RULE = "Knights tell the truth, knaves lie."
OTHERS = "Who calls whom true or false, or as or not as another:"


def knights(rng: Random, people: int) -> Worked:
    """A puzzle with one solution about ``people`` islanders, of whom three are asked.

    The first compares the second with himself, which gives the second away: "of my kind" can only
    be said of a knight, by a knight or by a knave. Every other speaks of the next, the last of the
    first, so each statement settles one more person: by what he is, or by whether he is what
    somebody before is, who must be looked up. They stand in that order: what is hard is to keep
    the deduction right over many steps, not to find the next statement.

    A statement is three or four words without one between them, and what is said has other words
    than what is true: a small model finds what stands beside a name long before what stands a word
    further.
    """
    names = rng.sample(NAMES[: max(COMMON, people)], people)
    kinds = dict(zip(names, rng.choices(("knight", "knave"), k=people), strict=True))
    first, second = names[:2]
    anchor = f"{first} says {second} is {'' if kinds[second] == 'knight' else 'not '}of my kind"
    statements, lines = [], [f"first {anchor}; {second} {kinds[second]}"]
    for place, (speaker, other) in enumerate(pairwise([*names[1:], first])):
        settled = names[1 : place + 1]
        if settled and rng.random() < COMPARED:
            known = rng.choice(settled)
            said = f"{speaker} {other} {_compared(kinds[speaker], kinds[other], kinds[known])}"
            said, looked_up = f"{said} {known}", f"{known} {kinds[known]}, "
        else:
            said, looked_up = f"{speaker} {other} {_claimed(kinds[speaker], kinds[other])}", ""
        statements.append(said)
        lines.append(f"{kinds[speaker]} {said}; {looked_up}{other} {kinds[other]}")
    asked = ask(rng, names, kinds)
    told = " ".join(f"{statement}." for statement in statements)
    prompt = f"{RULE} {anchor}. {OTHERS} {told} {asked.question}"
    return Worked(prompt, think([*lines, asked.line], asked.answer), asked.answer)


def _claimed(speaker: str, kind: str) -> str:
    """What a knight or knave calls somebody of that kind; "true" is who tells the truth."""
    return "true" if (speaker == "knight") == (kind == "knight") else "false"


def _compared(speaker: str, kind: str, known: str) -> str:
    """How a knight or knave compares somebody of a kind with somebody of the ``known`` one."""
    return "as" if (speaker == "knight") == (kind == known) else "not"
