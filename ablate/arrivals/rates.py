"""Open loops with a rate: regular, Poisson, bursty, and rising."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from random import Random
from typing import Literal

from ablate.arrivals.base import OpenLoop, positive


@dataclass(frozen=True)
class Constant(OpenLoop):
    """Open loop: one request every 1 / ``request_rate`` seconds."""

    request_rate: float

    def __post_init__(self) -> None:
        super().__post_init__()
        positive("request_rate", self.request_rate)

    def offsets(self, n: int, rng: Random) -> list[float]:
        return [(i + 1) / self.request_rate for i in range(n)]


@dataclass(frozen=True)
class Gamma(OpenLoop):
    """Open loop: gaps between arrivals are independent draws from a gamma distribution.

    ``request_rate``: requests per second on average. ``burstiness``: the distribution's shape, as
    in ``vllm bench serve``: 1 is a Poisson process, below 1 is burstier; the gaps' coefficient of
    variation is 1/sqrt(burstiness). ``form``: ``renewal`` leaves the draws as they are;
    ``rescaled`` stretches them so that the last of n arrives at n / request_rate, as vLLM does,
    which fixes the total and so understates how much load varies from run to run.
    """

    request_rate: float
    burstiness: float = 1.0
    form: Literal["renewal", "rescaled"] = "renewal"

    def __post_init__(self) -> None:
        super().__post_init__()
        positive("request_rate", self.request_rate)
        positive("burstiness", self.burstiness)

    def offsets(self, n: int, rng: Random) -> list[float]:
        scale = 1 / (self.request_rate * self.burstiness)
        drawn = list(accumulate(rng.gammavariate(self.burstiness, scale) for _ in range(n)))
        if self.form == "renewal" or not drawn or not drawn[-1]:
            return drawn
        stretch = n / self.request_rate / drawn[-1]
        return [offset * stretch for offset in drawn]


@dataclass(frozen=True)
class Poisson(OpenLoop):
    """Open loop: a Poisson process, which is ``gamma`` with a burstiness of 1."""

    request_rate: float

    def __post_init__(self) -> None:
        super().__post_init__()
        positive("request_rate", self.request_rate)

    def offsets(self, n: int, rng: Random) -> list[float]:
        return Gamma(self.request_rate).offsets(n, rng)


@dataclass(frozen=True)
class Ramp(OpenLoop):
    """Open loop whose rate goes from ``request_rate`` to ``end_rate`` over the trial's requests.

    ``curve``: by the same difference (``linear``) or the same factor (``exponential``) from each
    request to the next, as in ``vllm bench serve --ramp-up-strategy``. ``burstiness`` as in
    ``gamma``.
    """

    request_rate: float
    end_rate: float
    burstiness: float = 1.0
    curve: Literal["linear", "exponential"] = "linear"

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("request_rate", "end_rate", "burstiness"):
            positive(name, getattr(self, name))

    def offsets(self, n: int, rng: Random) -> list[float]:
        shape = self.burstiness
        return list(accumulate(rng.gammavariate(shape, 1 / (r * shape)) for r in self._rates(n)))

    def _rates(self, n: int) -> Iterator[float]:
        first, last = self.request_rate, self.end_rate
        for i in range(n):
            done = i / max(n - 1, 1)
            linear = self.curve == "linear"
            yield first + (last - first) * done if linear else first * (last / first) ** done
