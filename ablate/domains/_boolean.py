"""Named boolean expressions, each of two earlier ones, reduced to values one after another."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random

from ablate.domains._asking import ask
from ablate.domains._split import Worked, think

OPERATORS: Mapping[str, Callable[[bool, bool], bool]] = {
    "and": lambda left, right: left and right,
    "or": lambda left, right: left or right,
    "xor": lambda left, right: left != right,
    "implies": lambda left, right: not left or right,
}

NOT_SHARE = 0.3  # how often "not" stands before a name
GIVEN = 3  # names whose values are told

# The last ones are for long problems only: the shipped tokenizer makes two tokens of them.
LETTERS = "abcdefghilmorstwxjknpquvyz"
COMMON = 17


@dataclass(frozen=True)
class Operand:
    """A name with its value; ``negated``: with "not" before it."""

    name: str
    value: bool
    negated: bool

    @property
    def seen(self) -> bool:
        """What the operator sees."""
        return self.value != self.negated

    def __str__(self) -> str:
        return f"not {self.name}" if self.negated else self.name


def expressions(rng: Random, operators: int) -> Worked:
    """``operators`` expressions (3 to 23), of which three are asked.

    Whatever the operator, a value is as often true as false, so that its name gives nothing away.
    """
    needed = GIVEN + operators
    names = rng.sample(LETTERS[: max(COMMON, needed)], needed)
    values = {name: rng.random() < 0.5 for name in names[:GIVEN]}
    told = [f"{name} is {_word(value)}" for name, value in values.items()]
    lines = [" ".join(["given", *(f"{name} {_word(value)}" for name, value in values.items())])]
    for name in names[GIVEN:]:
        operator = rng.choice(list(OPERATORS))
        left, right, value = _operands(rng, operator, values)
        values[name] = value
        told.append(f"{name} is {left} {operator} {right}")
        work = f"{left} {_word(left.value)} {operator} {right} {_word(right.value)}"
        lines.append(f"if {name} is {work}; {name} {_word(value)}")
    words = {name: _word(value) for name, value in values.items()}
    asked = ask(rng, names[GIVEN:], words)
    prompt = f"Say {', '.join(told)}. {asked.question} Answer true or false for each."
    return Worked(prompt, think([*lines, asked.line], asked.answer), asked.answer)


def _word(value: bool) -> str:
    return "true" if value else "false"


def _operands(
    rng: Random, operator: str, values: Mapping[str, bool]
) -> tuple[Operand, Operand, bool]:
    """Two names and what the operator makes of them, true half of the time."""
    wanted = rng.random() < 0.5
    while True:
        left, right = (
            Operand(name, values[name], rng.random() < NOT_SHARE)
            for name in rng.sample(list(values), 2)
        )
        if OPERATORS[operator](left.seen, right.seen) == wanted:
            return left, right, wanted
