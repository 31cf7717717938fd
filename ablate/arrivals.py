"""Arrival processes: when a trial's requests are sent."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate
from random import Random
from types import MappingProxyType
from typing import Any, ClassVar

from ablate.plugins import Registry, hookimpl


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


@dataclass(frozen=True)
class Batch(Arrival):
    """Closed loop: always ``concurrency`` requests in flight while there are any left."""

    concurrency: int = 16

    def __post_init__(self) -> None:
        _check_concurrency(self.concurrency)

    @property
    def in_flight(self) -> int:
        return self.concurrency

    def offsets(self, n: int, rng: Random) -> None:
        return None


@dataclass(frozen=True)
class Gamma(Arrival):
    """Open loop: gaps between arrivals are independent draws from a gamma distribution.

    ``request_rate``: requests per second on average. ``burstiness``: the distribution's shape, as
    in ``vllm bench serve``: 1 is a Poisson process, below 1 is burstier; the gaps' coefficient of
    variation is 1/sqrt(burstiness). Unlike vLLM, arrivals are not rescaled so that the last of n
    lands at n / request_rate: that would fix the total and so understate the variance.
    ``concurrency`` caps what is in flight; waiting for a free slot counts as latency.
    """

    request_rate: float
    burstiness: float = 1.0
    concurrency: int | None = None

    example: ClassVar[Mapping[str, Any]] = MappingProxyType({"request_rate": 4.0})

    def __post_init__(self) -> None:
        for name in ("request_rate", "burstiness"):
            value = getattr(self, name)
            if not 0 < value < float("inf"):
                raise ValueError(f"{name} must be more than 0 and finite, not {value}")
        if self.concurrency is not None:
            _check_concurrency(self.concurrency)

    @property
    def in_flight(self) -> int | None:
        return self.concurrency

    def offsets(self, n: int, rng: Random) -> list[float]:
        scale = 1 / (self.request_rate * self.burstiness)
        return list(accumulate(rng.gammavariate(self.burstiness, scale) for _ in range(n)))


def _check_concurrency(value: int) -> None:
    if value < 1:
        raise ValueError(f"concurrency must be at least 1, not {value}")


@hookimpl
def ablate_register(registry: Registry) -> None:
    registry.add("arrival", "batch", Batch)
    registry.add("arrival", "gamma", Gamma)
