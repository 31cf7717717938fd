"""The requests of a load that have not been sent yet, and when each of them arrives."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heappush

from ablate.types import Load, Request


@dataclass(frozen=True, order=True)
class Arriving:
    """A request with the tokens of its prompt, and its arrival; ``id`` counts up."""

    arrival: float
    id: int
    request: Request
    prompt: Sequence[int]


class Arrivals:
    """Gives requests out as they arrive: by the clock, or as slots of a closed loop open."""

    def __init__(self, load: Load, prompts: Sequence[Sequence[int]], first_id: int) -> None:
        asked = zip(load.requests, prompts, strict=True)
        known = [
            Arriving(request.arrival or 0.0, first_id + i, request, prompt)
            for i, (request, prompt) in enumerate(asked)
        ]
        self._due = [one for one in known if one.request.arrival is not None]
        heapify(self._due)
        self._waiting = deque(one for one in known if one.request.arrival is None)
        for _ in range(load.concurrency or len(self._waiting)):
            self.slot_opened(0.0)

    def __bool__(self) -> bool:
        return bool(self._due or self._waiting)

    @property
    def next(self) -> float:
        """When the next one arrives that is known by now."""
        return self._due[0].arrival if self._due else 0.0

    def slot_opened(self, now: float) -> None:
        """A user of a closed loop is free for the next request, and thinks first."""
        if self._waiting:
            one = self._waiting.popleft()
            arrival = now + one.request.pause
            heappush(self._due, Arriving(arrival, one.id, one.request, one.prompt))

    def take(self, now: float) -> Arriving | None:
        """A request that has arrived, the earliest first."""
        return heappop(self._due) if self._due and self._due[0].arrival <= now else None
