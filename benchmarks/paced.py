"""A server whose latencies are known, and that says itself when it sent what.

``python -m benchmarks.paced [--ttft 0.05] [--itl 0.01] [--spread 0.5]`` prints its port. A request
gets its first token ``ttft`` seconds after it was read and each of the others ``itl`` after the one
before, both times a factor of its own from ``1 - spread`` to ``1 + spread``. Timers are late now
and then, so what counts is not what was planned: ``GET /truth`` gives, of every request since it
was last asked for, when it was read and when each token was handed to the socket, by the server's
clock.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from contextlib import AbstractContextManager
from dataclasses import dataclass
from random import Random
from urllib.request import urlopen

import numpy as np
from numpy.typing import NDArray

from benchmarks.servers import served
from benchmarks.streamer import Connection

Floats = NDArray[np.float64]


class Paced(Connection):
    """A connection whose tokens come when they are due."""

    def __init__(self, pace: Pace) -> None:
        super().__init__(set())
        self._pace = pace
        self._loop = asyncio.get_running_loop()
        self._read = self._due = self._gap = 0.0
        self._sent: list[float] = []

    def data_received(self, data: bytes) -> None:
        self._read = self._loop.time()
        super().data_received(data)

    def _page(self, path: bytes) -> bytes:
        return self._pace.told() if b"truth" in path else super()._page(path)

    def _begin(self) -> None:
        self._sent = []
        self._pace.requests.append((self._read, self._sent))
        first, self._gap = self._pace.draw()
        self._due = self._read + first
        self._loop.call_at(self._due, self._send)

    def _send(self) -> None:
        more = self._left > 1 and not self._transport.is_closing()
        self._sent.append(self._loop.time())
        self.tick()
        if more:
            self._due += self._gap
            self._loop.call_at(self._due, self._send)


class Pace:
    """What every request is to get, and what each got."""

    def __init__(self, ttft: float, itl: float, spread: float) -> None:
        self._means, self._spread = (ttft, itl), spread
        self._rng = Random(0)
        self.requests: list[tuple[float, list[float]]] = []

    def draw(self) -> tuple[float, float]:
        low, high = 1 - self._spread, 1 + self._spread
        first, gap = (mean * self._rng.uniform(low, high) for mean in self._means)
        return first, gap

    def told(self) -> bytes:
        page = json.dumps(self.requests).encode()
        self.requests = []
        return page


@dataclass(frozen=True)
class Truth:
    """What a server sent, in seconds: one entry a request, in the order in which they were read."""

    read: Floats
    ttft: Floats
    tpot: Floats


def truth(url: str) -> Truth:
    """What the server sent since it was last asked."""
    with urlopen(f"{url}/truth") as page:  # noqa: S310 - our own
        told: list[tuple[float, list[float]]] = json.load(page)
    several = [sent for _, sent in told if len(sent) > 1]
    return Truth(
        np.array([read for read, _ in told]),
        np.array([sent[0] - read for read, sent in told]),
        np.array([(sent[-1] - sent[0]) / (len(sent) - 1) for sent in several]),
    )


def paced(ttft: float, itl: float, spread: float) -> AbstractContextManager[str]:
    """Such a server in a process of its own, at the address that is given."""
    options = ("--ttft", str(ttft), "--itl", str(itl), "--spread", str(spread))
    return served("benchmarks.paced", *options)


async def serve(pace: Pace, port: int) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Paced(pace), "127.0.0.1", port)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--ttft", type=float, default=0.05)
    parser.add_argument("--itl", type=float, default=0.01)
    parser.add_argument("--spread", type=float, default=0.5)
    options = parser.parse_args()
    asyncio.run(serve(Pace(options.ttft, options.itl, options.spread), options.port))
