"""Closed loops: the next request waits until an earlier one has ended."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from random import Random
from typing import Literal

from ablate.arrivals.base import Arrival, at_least_one


@dataclass(frozen=True)
class Batch(Arrival):
    """Closed loop: always ``concurrency`` requests in flight while there are any left."""

    concurrency: int = 16

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least_one("concurrency", self.concurrency)

    @property
    def in_flight(self) -> int:
        return self.concurrency

    def offsets(self, n: int, rng: Random) -> None:
        return None


@dataclass(frozen=True)
class Closed(Arrival):
    """Closed loop of ``users``, each of whom thinks for a while after an answer, then asks again.

    ``think_time``: seconds on average. ``distribution``: ``exponential``, as in queueing theory's
    machine-repairman model, or ``constant``. A request arrives when its user has thought.
    """

    users: int = 16
    think_time: float = 1.0
    distribution: Literal["exponential", "constant"] = "exponential"

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least_one("users", self.users)
        if not 0 <= self.think_time < inf:
            raise ValueError(f"think_time must be at least 0 and finite, not {self.think_time}")

    @property
    def in_flight(self) -> int:
        return self.users

    def offsets(self, n: int, rng: Random) -> None:
        return None

    def pauses(self, n: int, rng: Random) -> list[float]:
        if self.distribution == "constant" or not self.think_time:
            return [self.think_time] * n
        return [rng.expovariate(1 / self.think_time) for _ in range(n)]
