"""Domains and arrival processes that are each unfair in one way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import ClassVar

from ablate.arrivals import Arrival
from ablate.domains import Arithmetic
from ablate.domains.base import Domain
from ablate.types import FinishReason, Grade, Problem


class Ruled(Arithmetic):
    """The arithmetic domain, for others to change one thing of."""


@dataclass(frozen=True)
class Repeating(Ruled):
    """Two problems of one id."""

    def problems(self) -> Sequence[Problem]:
        first, *rest = super().problems()
        return [first, *(replace(p, id=first.id) for p in rest[:1]), *rest[1:]]


@dataclass(frozen=True)
class Shuffled(Ruled):
    """Other problems first for another limit."""

    def problems(self) -> Sequence[Problem]:
        found = list(super().problems())
        Random(self.limit).shuffle(found)
        return found


@dataclass(frozen=True)
class Random_(Ruled):  # noqa: N801 - the name of what it draws from is taken
    """Other problems each time."""

    def problems(self) -> Sequence[Problem]:
        return replace(Arithmetic(), seed=Random().randrange(1 << 30), limit=self.limit).problems()


@dataclass(frozen=True)
class Seedless(Ruled):
    """The same problems for every seed."""

    def problems(self) -> Sequence[Problem]:
        return Arithmetic(limit=self.limit).problems()


@dataclass(frozen=True)
class Leaking(Ruled):
    """Trains on its test problems."""

    def training(self, n: int, seed: int) -> Sequence[Problem]:
        return replace(self, limit=n).problems()


@dataclass(frozen=True)
class Deaf(Ruled):
    """Accepts nothing."""

    def is_correct(self, answer: str, problem: Problem) -> bool:
        return False


@dataclass(frozen=True)
class Lenient(Ruled):
    """Accepts everything."""

    def is_correct(self, answer: str, problem: Problem) -> bool:
        return True


@dataclass(frozen=True)
class Harsh(Ruled):
    """Calls text that was cut off wrong."""

    def grade(self, problem: Problem, text: str, finish_reason: FinishReason) -> Grade:
        grade = super().grade(problem, text, finish_reason)
        return Grade("wrong") if grade.outcome in ("truncated", "unparsed") else grade


@dataclass(frozen=True)
class Fragile(Ruled):
    """Breaks on long text."""

    def extract(self, visible: str) -> str | None:
        if len(visible) > 1_000_000:
            raise RecursionError("too deep")
        return super().extract(visible)


@dataclass(frozen=True)
class Unpicklable(Ruled):
    """Slow, and its problems cannot be sent to the processes that grade."""

    slow: ClassVar[bool] = True

    def problems(self) -> Sequence[Problem]:
        return [replace(p, payload=lambda: 1) for p in super().problems()]


DOMAINS: Sequence[tuple[type[Domain], str]] = (
    (Repeating, "ids should be unique"),
    (Shuffled, "same first problems"),
    (Random_, "the same each time"),
    (Seedless, "another seed should ask other problems"),
    (Leaking, "never be a test problem"),
    (Deaf, "accept its own references"),
    (Lenient, "should be wrong"),
    (Harsh, "should be graded 'truncated', and is 'wrong'"),
    (Fragile, "should be graded, and raised RecursionError"),
    (Unpicklable, "should be picklable"),
)


@dataclass(frozen=True)
class Late(Arrival):
    """Arrivals that are wrong in the way that ``how`` says."""

    how: str = "unsorted"

    @property
    def in_flight(self) -> int | None:
        return 0 if self.how == "nobody" else None

    def offsets(self, n: int, rng: Random) -> list[float] | None:
        match self.how:
            case "unsorted":
                return [rng.random() for _ in range(n)]
            case "short":
                return [1.0 * i for i in range(max(n, 1))]
            case "unseeded":
                return sorted(Random().random() for _ in range(n))
            case "endless":
                return [float("inf")] * n
            case "sometimes":
                return None if n == 0 else [0.0] * n
            case _:
                return None


ARRIVALS: Mapping[str, str] = {
    "unsorted": "should ascend",
    "short": "should be 0 for 0 requests, and are 1",
    "unseeded": "draw from the",
    "endless": "finite seconds",
    "sometimes": "for none",
    "closed": "how many requests are in flight",
    "nobody": "a whole number from 1",
}
