"""The highest rate of requests at which enough of them keep the recipe's bounds on latency.

Every rate is tried with the same requests in the same pattern of arrivals, faster or slower, so
arms of a block differ in nothing else. Rates are doubled or halved until one keeps the bounds and
its double does not, and then narrowed down.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from ablate.engines.base import Session
from ablate.errors import TrialError
from ablate.types import Completion, Load, Usage

MOST_DOUBLINGS = 8
BISECTIONS = 3  # from a factor of 2 to one of 1.09


@dataclass(frozen=True)
class Served:
    """What came of a load that was served ``speed`` times as fast as it was planned."""

    speed: float
    completions: tuple[Completion, ...]
    usage: tuple[Usage, ...]
    counters: Mapping[str, float]
    cpu: float | None
    share_within: float


Serve = Callable[[float], Served]
"""Serves the load at a speed."""


def hastened(load: Load, speed: float) -> Load:
    """The load with its arrivals ``speed`` times as fast."""
    requests = tuple(
        replace(request, arrival=(request.arrival or 0.0) / speed) for request in load.requests
    )
    return replace(load, requests=requests)


def planned_rate(load: Load) -> float:
    """Requests per second of an open loop, as its arrivals are planned.

    Raises TrialError if all arrive at the start, which no speed changes.
    """
    last = max(request.arrival or 0.0 for request in load.requests)
    if not last:
        raise TrialError("all requests arrive at one moment, which has no rate to look for")
    return len(load.requests) / last


def serve_at(session: Session, load: Load, speed: float, slo: Mapping[str, float]) -> Served:
    """What comes of a load at a speed."""
    from ablate.metrics import share_within  # numpy, which planning does without

    done: list[Completion] = []
    usage: list[Usage] = []
    before = session.cpu_seconds
    counters = dict(session.run(hastened(load, speed), done.append, usage.append))
    cpu = session.cpu_since(before)
    return Served(speed, tuple(done), tuple(usage), counters, cpu, share_within(done, slo))


def fastest(serve: Serve, attainment: float) -> Served:
    """The fastest load of which a share of ``attainment`` kept the bounds.

    Raises TrialError if none did, not even at a small part of the planned rate, and if there is no
    end to it, because the requests are too few to overload anything or the bounds too loose.
    """
    first = serve(1.0)
    ends = _faster if first.share_within >= attainment else _slower
    return _between(serve, *ends(serve, first, attainment), attainment)


def _faster(serve: Serve, kept: Served, attainment: float) -> tuple[Served, Served]:
    """The fastest that keeps the bounds and the first that does not."""
    for _ in range(MOST_DOUBLINGS):
        tried = serve(kept.speed * 2)
        if tried.share_within < attainment:
            return kept, tried
        kept = tried
    raise TrialError(
        f"even at {kept.speed:g} times the workload's rate {kept.share_within:.0%} of the requests "
        "kept the bounds of slo: ask more requests, or set tighter bounds"
    )


def _slower(serve: Serve, failed: Served, attainment: float) -> tuple[Served, Served]:
    """The first that keeps the bounds and the slowest that does not."""
    for _ in range(MOST_DOUBLINGS):
        tried = serve(failed.speed / 2)
        if tried.share_within >= attainment:
            return tried, failed
        failed = tried
    raise TrialError(
        f"even at {failed.speed:g} times the workload's rate only {failed.share_within:.0%} of the "
        f"requests kept the bounds of slo, and {attainment:.0%} are wanted"
    )


def _between(serve: Serve, kept: Served, failed: Served, attainment: float) -> Served:
    for _ in range(BISECTIONS):
        tried = serve((kept.speed * failed.speed) ** 0.5)
        if tried.share_within >= attainment:
            kept = tried
        else:
            failed = tried
    return kept
