"""The highest rate that keeps the bounds, found with an engine whose capacity is known."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ablate.engines.base import Session
from ablate.errors import TrialError
from ablate.running.search import fastest, planned_rate, serve_at
from ablate.types import Completion, EvidenceState, Load, Problem, Request, Usage

SLO = {"e2e_latency": 0.2}


class Server(Session):
    """Answers one request at a time, each in ``seconds``: a queue to be worked out by hand."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.loads: list[Load] = []

    weight_bytes = None
    info: Mapping[str, str] = {}

    def run(
        self,
        load: Load,
        on_completion: Callable[[Completion], None],
        on_usage: Callable[[Usage], None],
    ) -> Mapping[str, float]:
        self.loads.append(load)
        free = 0.0
        for r in load.requests:
            arrival = r.arrival or 0.0
            free = max(free, arrival) + self.seconds
            done = Completion(r.id, "", 1, 1, 0, arrival, arrival, free, (free,), free, "stop")
            on_completion(done)
        return {"num_steps": float(len(load.requests))}

    def evidence_state(self, stage: Literal["warmup", "measured"]) -> EvidenceState:
        return EvidenceState("server", stage, {}, {})

    def close(self) -> None:
        """Nothing is held."""


def load(n: int = 60, rate: float = 1.0) -> Load:
    """Regular arrivals."""
    problem = Problem("0", "sums", "?", "")
    return Load(tuple(Request(str(i), problem, 0, 0, (i + 1) / rate) for i in range(n)))


def search(server: Server, what: Load, attainment: float = 1.0) -> Any:
    return fastest(lambda speed: serve_at(server, what, speed, SLO), attainment)


@given(st.floats(0.02, 0.18), st.floats(0.3, 40.0), st.sampled_from([0.5, 0.9, 1.0]))
def test_the_highest_rate_is_found_within_a_tenth(
    seconds: float, rate: float, attainment: float
) -> None:
    what, server = load(400, rate), Server(seconds)
    found = search(server, what, attainment)
    # above capacity, the k-th of regular arrivals waits (k - 1) x (seconds - gap)
    decides = round(attainment * 400)
    highest = 1 / (seconds - (SLO["e2e_latency"] - seconds) / (decides - 1))
    reached = found.speed * planned_rate(what)
    assert highest / 1.1 <= reached <= highest * 1.0001
    assert found.share_within >= attainment
    assert len(found.completions) == 400
    last = 400 / rate / found.speed
    again = next(one for one in server.loads if one.requests[-1].arrival == last)
    assert [r.id for r in again.requests] == [r.id for r in what.requests]


def test_a_bound_that_no_rate_keeps() -> None:
    with pytest.raises(TrialError, match="0% of the requests kept the bounds of slo, and 100%"):
        search(Server(0.3), load())
