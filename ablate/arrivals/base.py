"""What an arrival process is: when a trial's requests are sent."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from math import inf
from random import Random


@dataclass(frozen=True)
class Arrival(ABC):
    """Base of arrival processes: fields are the options of the recipe's ``workload``."""

    @property
    @abstractmethod
    def in_flight(self) -> int | None:
        """The most requests in flight at once; None: no limit."""

    @abstractmethod
    def offsets(self, n: int, rng: Random) -> list[float] | None:
        """Seconds from the start at which ``n`` requests arrive, ascending.

        None: a closed loop, in which a request is sent as soon as another has ended.
        """

    def pauses(self, n: int, rng: Random) -> list[float] | None:
        """Of a closed loop: seconds that pass between a slot's opening and each of ``n`` requests.

        None: no time passes.
        """
        return None


@dataclass(frozen=True, kw_only=True)
class OpenLoop(Arrival):
    """Requests arrive whether or not earlier ones have ended.

    ``concurrency`` caps what is in flight; waiting for a free slot counts as latency.
    """

    concurrency: int | None = None

    def __post_init__(self) -> None:
        if self.concurrency is not None:
            at_least_one("concurrency", self.concurrency)

    @property
    def in_flight(self) -> int | None:
        return self.concurrency


def at_least_one(name: str, value: int) -> None:
    if value < 1:
        raise ValueError(f"{name} must be at least 1, not {value}")


def positive(name: str, value: float) -> None:
    if not 0 < value < inf:
        raise ValueError(f"{name} must be more than 0 and finite, not {value}")
