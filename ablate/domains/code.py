"""Short Python programs: what do they print?"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import ClassVar

from ablate.domains._split import Generated, Worked, think
from ablate.domains.arithmetic import last_number

VARIABLES = ("a", "b", "c")
LOWEST, HIGHEST = 10, 99  # every value has two digits
INDENT = "    "

OPERATIONS: Mapping[str, Callable[[int, int], int]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
}
COMPARISONS: Mapping[str, Callable[[int, int], bool]] = {"<": operator.lt, ">": operator.gt}


@dataclass(frozen=True)
class Assignment:
    """``target = source sign operand``; the operand is a variable or a number."""

    target: str
    source: str
    sign: str
    operand: str

    def __str__(self) -> str:
        return f"{self.target} = {self.source} {self.sign} {self.operand}"


@dataclass
class Machine:
    """The variables' values while a program is made up, with the program and what it did so far."""

    values: dict[str, int]
    program: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    changed: str = VARIABLES[0]

    def value(self, name: str) -> int:
        return self.values[name] if name in self.values else int(name)

    def result(self, assignment: Assignment) -> int:
        operate = OPERATIONS[assignment.sign]
        return operate(self.value(assignment.source), self.value(assignment.operand))

    def run(self, assignment: Assignment) -> None:
        """Carry it out and write down the values, unless a result leaves the two digits."""
        source, operand = self.value(assignment.source), self.value(assignment.operand)
        result = self.result(assignment)
        if not LOWEST <= result <= HIGHEST:
            raise ArithmeticError(f"{assignment} gives {result}")
        self.values[assignment.target] = result
        self.changed = assignment.target
        self.lines.append(
            f"{assignment} = {source} {assignment.sign} {operand} = {result}; {self.state()}"
        )

    def state(self) -> str:
        return " ".join(f"{name} {value}" for name, value in self.values.items())


@dataclass(frozen=True)
class Code(Generated):
    """Assignments, branches and loops; difficulty is the number of assignments carried out.

    The three that give the variables their first values do not count.
    """

    max_difficulty: int = 12

    name: ClassVar[str] = "code"

    def make(self, rng: Random, difficulty: int) -> Worked:
        values = {name: rng.randint(LOWEST, HIGHEST) for name in VARIABLES}
        machine = Machine(values)
        machine.program += [f"{name} = {value}" for name, value in values.items()]
        machine.lines.append(machine.state())
        left = difficulty
        while left > 0:
            left -= _block(rng, machine, left)
        program = "\n".join([*machine.program, f"print({machine.changed})"])
        answer = str(machine.values[machine.changed])
        return Worked(f"What does this print?\n{program}", think(machine.lines, answer), answer)

    def extract(self, visible: str) -> str | None:
        return last_number(visible)


def _block(rng: Random, machine: Machine, left: int) -> int:
    """Add one block of at most ``left`` assignments; how many it carries out."""
    kinds = [_assign, _assign, _branch] + ([_loop] if left >= 2 else [])
    return rng.choice(kinds)(rng, machine, left)


def _assign(rng: Random, machine: Machine, _left: int) -> int:
    assignment = _possible(rng, machine)
    machine.program.append(str(assignment))
    machine.run(assignment)
    return 1


def _branch(rng: Random, machine: Machine, _left: int) -> int:
    """If and else, one assignment each."""
    name, other = rng.sample(VARIABLES, 2)
    sign = rng.choice(list(COMPARISONS))
    against = rng.choice((other, str(rng.randint(LOWEST, HIGHEST))))
    holds = COMPARISONS[sign](machine.value(name), machine.value(against))
    condition = f"if {name} {sign} {against}:"
    compared = f"{machine.value(name)} {sign} {machine.value(against)}"
    machine.lines.append(f"{condition} {compared} {'yes' if holds else 'no'}")
    taken, skipped = _possible(rng, machine), _random(rng)
    first, second = (taken, skipped) if holds else (skipped, taken)
    machine.program += [condition, f"{INDENT}{first}", "else:", f"{INDENT}{second}"]
    machine.run(taken)
    return 1


def _loop(rng: Random, machine: Machine, left: int) -> int:
    """Two to four rounds of one or two assignments, drawn until no round leaves the two digits."""
    while True:
        size = rng.randint(1, 2 if left >= 4 else 1)
        rounds = rng.randint(2, min(4, left // size))
        body = [_random(rng) for _ in range(size)]
        trial = Machine(dict(machine.values))
        try:
            for count in range(1, rounds + 1):
                trial.lines.append(f"round {count} of {rounds}")
                for assignment in body:
                    trial.run(assignment)
        except ArithmeticError:
            continue
        machine.program += [f"for i in range({rounds}):", *(f"{INDENT}{line}" for line in body)]
        machine.values, machine.changed = trial.values, trial.changed
        machine.lines += trial.lines
        return rounds * size


def _possible(rng: Random, machine: Machine) -> Assignment:
    """An assignment whose result has two digits now."""
    while True:
        assignment = _random(rng)
        if LOWEST <= machine.result(assignment) <= HIGHEST:
            return assignment


def _random(rng: Random) -> Assignment:
    target, source = rng.choice(VARIABLES), rng.choice(VARIABLES)
    sign = rng.choice(("+", "+", "-", "-", "*"))
    if sign == "*":
        return Assignment(target, source, sign, str(rng.randint(2, 5)))
    number = rng.randint(2, 50)
    return Assignment(target, source, sign, rng.choice((rng.choice(VARIABLES), str(number))))
