"""The HTTP client: one event loop in a thread of its own, as long as the session lives.

Whatever else the trial does (tokenizing, grading, writing) happens in the main thread, so that it
delays neither a dispatch nor the time at which a token is seen.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlsplit

import aiohttp

from ablate.engines.server.timers import exact_loop

T = TypeVar("T")

# Servers close idle connections after some 5 s; one that is being closed must not be used again.
KEEP_ALIVE = 2.0
CONTROL_TIMEOUT = 60.0  # s for anything but generating


class ServerError(Exception):
    """A request that went wrong. ``kind``: as of ``TrialError``."""

    def __init__(self, message: str, kind: str = "error") -> None:
        super().__init__(message)
        self.kind = kind


@dataclass(frozen=True)
class Answer:
    """What came back of a request that is no stream."""

    status: int
    text: str


@dataclass(frozen=True)
class Departure:
    """When a request goes out; given to it as ``trace_request_ctx``.

    ``due`` is awaited when it is made and has its connection; ``sent`` is called the moment its
    head has been written.
    """

    due: Callable[[], Awaitable[None]]
    sent: Callable[[], None]


class Client:
    """Requests to one server, sent from a thread of its own."""

    def __init__(self, base_url: str, api_key: str | None) -> None:
        bare = not urlsplit(base_url).path.strip("/")
        self.base_url = base_url.rstrip("/") + ("/v1" if bare else "")
        self.root = self.base_url.removesuffix("/v1")
        self._headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._loop = exact_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="client", daemon=True)
        self._thread.start()
        self.http = self.run(self._open())

    async def _open(self) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_ALIVE)
        trace = aiohttp.TraceConfig()
        trace.on_connection_reuseconn.append(_connected)
        trace.on_connection_create_end.append(_connected)
        trace.on_request_headers_sent.append(_sent)
        return aiohttp.ClientSession(
            connector=connector,
            trace_configs=[trace],
            headers={
                **self._headers,
                "Content-Type": "application/json",
                "Accept-Encoding": "identity",  # unpacking would cost more than loopback does
            },
            timeout=aiohttp.ClientTimeout(total=None),
            read_bufsize=1 << 20,
        )

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Do ``work`` in the client's thread and wait for what it returns."""
        return self.start(work).result()

    def start(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Begin ``work`` in the client's thread."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def get(self, path: str, timeout: float = CONTROL_TIMEOUT) -> Answer:
        """``/path`` is the server's, ``path`` the API's. Raises ServerError without an answer."""
        return self.run(self._ask("GET", path, None, timeout))

    def post(
        self, path: str, body: Mapping[str, Any] | None = None, timeout: float = CONTROL_TIMEOUT
    ) -> Answer:
        """As ``get``, with a JSON body."""
        return self.run(self._ask("POST", path, body, timeout))

    async def _ask(
        self, method: str, path: str, body: Mapping[str, Any] | None, timeout: float
    ) -> Answer:
        url = f"{self.root}{path}" if path.startswith("/") else f"{self.base_url}/{path}"
        limit = aiohttp.ClientTimeout(total=timeout)
        try:
            async with self.http.request(method, url, json=body, timeout=limit) as response:
                return Answer(response.status, await response.text(errors="replace"))
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise ServerError(f"{method} {url}: {told(error)}") from error

    def close(self) -> None:
        """Close every connection and end the thread."""
        self.run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _close(self) -> None:
        await self.http.close()
        await asyncio.sleep(0)  # the transports close in the loop's next turn


async def _connected(_session: Any, context: Any, _params: Any) -> None:
    departure: Departure | None = context.trace_request_ctx
    if departure:
        await departure.due()


async def _sent(_session: Any, context: Any, _params: Any) -> None:
    departure: Departure | None = context.trace_request_ctx
    if departure:
        departure.sent()


def told(error: BaseException) -> str:
    """An exception's kind and what it says."""
    text = str(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
