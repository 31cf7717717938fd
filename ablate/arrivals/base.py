"""What an arrival process is: when a trial's requests are sent."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from math import inf
from random import Random
from typing import Literal


@dataclass(frozen=True)
class Arrival(ABC):
    """Base of arrival processes: fields are the options of the recipe's ``workload``.

    ``turns``: how many problems are asked one after the other in one chat, each with those before
    it and their right answers as its history, so that a prefix cache has something to share.
    ``mix``: weights of the domains in the stream, 1 for one that it does not name. They give their
    first problems in that proportion until one has none left; no problem is asked twice for a
    weight's sake. Without weights all problems are asked.
    """

    turns: int = field(default=1, kw_only=True)
    mix: dict[str, float] = field(default_factory=dict, kw_only=True)

    def __post_init__(self) -> None:
        at_least_one("turns", self.turns)
        for domain, weight in self.mix.items():
            positive(f"mix.{domain}", weight)

    @property
    def attained(self) -> float | None:
        """Of a trial that looks for the highest rate under the ``slo``: the share of requests that
        must keep it. None: the load is served as it is.
        """
        return None

    @property
    def offline(self) -> int | None:
        """The concurrency of the batch in which an arm's requests are served once more.

        None: they are not.
        """
        return None

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
    ``find: max_rate_under_slo`` serves the arrivals faster and slower until the highest rate is
    known, within a factor of 1.09, at which a share of ``attainment`` of the requests keeps the
    recipe's ``slo``; what is reported is the load at that rate. ``offline``: the concurrency of a
    batch in which every arm serves block 0's requests once more, so that its accuracy under load
    can be held against that offline.
    """

    concurrency: int | None = None
    find: Literal["max_rate_under_slo"] | None = None
    attainment: float = 0.9
    offline: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("concurrency", "offline"):
            if (value := getattr(self, name)) is not None:
                at_least_one(name, value)
        if not 0 < self.attainment <= 1:
            raise ValueError(f"attainment must be above 0 and at most 1, not {self.attainment}")

    @property
    def attained(self) -> float | None:
        return self.attainment if self.find else None

    @property
    def in_flight(self) -> int | None:
        return self.concurrency


def at_least_one(name: str, value: int) -> None:
    if value < 1:
        raise ValueError(f"{name} must be at least 1, not {value}")


def positive(name: str, value: float) -> None:
    if not 0 < value < inf:
        raise ValueError(f"{name} must be more than 0 and finite, not {value}")
