"""A clock that tests turn."""

from __future__ import annotations


class FakeClock:
    """Time that passes only when it is told to: an ``ablate.engines.local.clock.Clock``.

    Waiting takes no time and moves it on. ``tick``: seconds that pass each time somebody looks, so
    that what comes later also has a later time.
    """

    def __init__(self, start: float = 0.0, tick: float = 0.0) -> None:
        self._now = start
        self._tick = tick
        self.slept: list[float] = []

    def now(self) -> float:
        """Seconds; ``tick`` more at each look."""
        seen = self._now
        self._now += self._tick
        return seen

    def sleep(self, seconds: float) -> None:
        """Move on at once; ``slept`` keeps how long it was."""
        self.slept.append(seconds)
        self.advance(seconds)

    def advance(self, seconds: float) -> None:
        """Let time pass. Raises ValueError for less than none: the scale is monotonic."""
        if seconds < 0:
            raise ValueError(f"time cannot go back by {-seconds} s")
        self._now += seconds
