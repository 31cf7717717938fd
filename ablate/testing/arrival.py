"""Arrival processes: as many ascending times as asked, from the seed alone."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from random import Random

from ablate.arrivals import Arrival
from ablate.testing import options
from ablate.testing.findings import Finding, guarded, judged

SIZES = (0, 1, 2, 50)


def examine(arrival: Arrival) -> list[Finding]:
    """What ``check_arrival`` looks at."""
    return [
        *guarded("options", options.examine, arrival),
        *guarded("in flight", _in_flight, arrival),
        *guarded("offsets", _offsets, arrival),
        *guarded("seed", _seeded, arrival),
    ]


def _in_flight(arrival: Arrival) -> Iterator[Finding]:
    limit = arrival.in_flight
    problems = []
    if limit is not None and limit < 1:
        problems.append(f"should be None or a whole number from 1, and is {limit!r}")
    if limit is None and arrival.offsets(1, Random(0)) is None:
        problems.append(
            "a closed loop (offsets() gives None) should say how many requests are in flight, and "
            "in_flight is None"
        )
    yield from judged("in flight", problems, "no limit" if limit is None else f"at most {limit}")


def _offsets(arrival: Arrival) -> Iterator[Finding]:
    given = {n: arrival.offsets(n, Random(n)) for n in SIZES}
    closed = [n for n, offsets in given.items() if offsets is None]
    problems = [
        p for n, offsets in given.items() if offsets is not None for p in _wrong(n, offsets)
    ]
    if closed and len(closed) < len(given):
        problems.append(f"should be None for every n or for none, and are None for n = {closed}")
    fine = "a closed loop" if closed else f"ascending, as many as asked, for n = {SIZES}"
    yield from judged("offsets", problems, fine)


def _wrong(n: int, offsets: Sequence[float]) -> Iterator[str]:
    if len(offsets) != n:
        yield f"should be {n} for {n} requests, and are {len(offsets)}"
    if not all(math.isfinite(o) and o >= 0 for o in offsets):
        yield f"should be finite seconds from the start, and for n = {n} some are not"
    if any(later < one for one, later in pairwise(offsets)):
        yield f"should ascend, and for n = {n} they do not; sort them"


def _seeded(arrival: Arrival) -> Iterator[Finding]:
    one, again = (arrival.offsets(20, Random(7)) for _ in range(2))
    problems = (
        []
        if one == again
        else [
            "the same seed should give the same offsets, and gives others; draw from the ``rng`` "
            "that is passed and from nothing else"
        ]
    )
    yield from judged("seed", problems, "the same seed gives the same offsets")
