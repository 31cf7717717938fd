"""Server-sent events: what a stream's bytes carry, however the network has cut them."""

from __future__ import annotations

DONE = b"[DONE]"


class EventParser:
    """Splits bytes into the data of events, as they become complete."""

    def __init__(self) -> None:
        self._rest = b""
        self._data: list[bytes] = []

    def feed(self, received: bytes) -> list[bytes]:
        """The events that end within ``received``."""
        lines = (self._rest + received).split(b"\n")
        self._rest = lines.pop()
        events = []
        for line in lines:
            if line.startswith(b"data:"):
                self._data.append(line[5:].strip())
            elif self._data and not line.rstrip(b"\r"):
                events.append(b"\n".join(self._data))
                self._data = []
        return events

    @property
    def pending(self) -> bytes:
        """What has come of an event that has not ended."""
        return b"\n".join([*self._data, self._rest])
