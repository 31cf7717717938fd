"""An event loop whose timers are exact to some ten microseconds.

``epoll`` counts in whole milliseconds, and Python rounds up: with the standard loop a request is
sent up to a millisecond late.
"""

from __future__ import annotations

import asyncio
import select
import selectors

FINE = 2e-3  # s; what is left of a wait when it is continued to the microsecond
LARGEST = 1024  # what select() takes: file descriptors below it


def exact_loop() -> asyncio.AbstractEventLoop:
    """A new event loop; the standard one where that is exact already, or nothing else there is."""
    if not issubclass(selectors.DefaultSelector, getattr(selectors, "EpollSelector", ())):
        return asyncio.new_event_loop()
    selector = ExactSelector()
    if selector.fileno() >= LARGEST:
        selector.close()
        return asyncio.new_event_loop()
    return asyncio.SelectorEventLoop(selector)


class ExactSelector(selectors.DefaultSelector):
    """``epoll``, which ``select``, with its microseconds, waits for where the wait is short."""

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Those that are ready; after a longer ``timeout`` it may end early, with none.

        The event loop then waits again for what is left.
        """
        if timeout is None or timeout <= 0:
            return super().select(timeout)
        if timeout > FINE:
            return super().select(timeout - FINE / 2)
        ready, _, _ = select.select([self.fileno()], [], [], timeout)
        return super().select(0) if ready else []
