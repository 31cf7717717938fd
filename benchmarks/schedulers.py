"""What a scheduler costs with thousands waiting: ``python -m benchmarks.schedulers``.

Requests of one token each, all there at once, over a store that only counts: what is left is the
scheduler. CPU microseconds a request, which should hardly grow with the number of requests.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable

from ablate.engines.local.interfaces import KVStore, Scheduler, Seq
from ablate.engines.local.scheduler import QueueScheduler
from ablate.testing.schedule import CountingStore
from ablate.types import Limits, Problem, Request
from ablate_schedulers import LengthAware, LongestFirst, Priority

WAITING = (1_000, 4_000, 16_000)
SLOTS = 64
LIMITS = Limits(SLOTS, 512, 1 << 20, 1 << 20)
DOMAINS = ("arithmetic", "code", "knowledge", "logic")
LEVELS = 10
Make = Callable[[KVStore, Limits], Scheduler]
SCHEDULERS: dict[str, Make] = {
    "engine's own": QueueScheduler,
    "longest_first": LongestFirst().ablate_schedule,
    "priority": Priority({"logic": 1, "code": 2}).ablate_schedule,
    "length_aware": LengthAware().ablate_schedule,
}


class Roomy(CountingStore):
    """Never full."""

    capacity_tokens = 1 << 20


def microseconds(make: Make, waiting: int) -> float:
    """CPU time of a request, from its coming to its end."""
    store = Roomy()
    scheduler = make(store, LIMITS)  # which imports what it needs
    seqs = [sequence(number) for number in range(waiting)]
    gc.collect()  # the sequences of the last time
    start = time.process_time()
    for seq in seqs:
        scheduler.add(seq)
    while scheduler.waiting or scheduler.running:
        for chunk in scheduler.schedule():
            chunk.seq.computed += chunk.n
            chunk.seq.tokens.append(0)
            scheduler.finish(chunk.seq)
    return 1e6 * (time.process_time() - start) / waiting


def sequence(number: int) -> Seq:
    """Of many prompt lengths, domains and difficulties."""
    domain, level = DOMAINS[number % len(DOMAINS)], float(number * 7 % LEVELS)
    request = Request(str(number), Problem(str(number), domain, "", "", level), 0, 0)
    size = 1 + number * 7919 % 31
    return Seq(number, request, [0] * size, size, 4, 0.0, 0.0)


def main() -> None:
    print("| scheduler |", " | ".join(f"{n:,} waiting" for n in WAITING), "|")
    print("| --- |", " | ".join("---" for _ in WAITING), "|")
    for name, make in SCHEDULERS.items():
        times = [f"{microseconds(make, n):.0f} µs" for n in WAITING]
        print(f"| {name} |", " | ".join(times), "|")


if __name__ == "__main__":
    main()
