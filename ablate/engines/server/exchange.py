"""One load against one server: when each request is sent, and the bytes that come back.

Runs in the client's thread. Per token it notes the time and keeps the bytes; reading them is the
main thread's work. Times are seconds from the start of the exchange, on the loop's monotonic clock.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from queue import SimpleQueue

import aiohttp

from ablate.engines.server.client import Client, Departure, ServerError, told

SCRAPE_INTERVAL = 0.5  # s; a server's metrics page takes it milliseconds to write
WATCH_INTERVAL = 0.5
EARLY = 3e-3  # s; so long before it is due a scheduled request is made, and connected
SHOWN = 600  # characters of an error page


@dataclass(frozen=True)
class Job:
    """One request, ready to be sent to ``path``. ``arrival`` None: ``pause`` seconds after a slot
    has opened.
    """

    index: int
    path: str
    body: bytes
    arrival: float | None
    pause: float = 0.0


@dataclass(eq=False)
class Stream:
    """What came back of one job: pieces of the body with the times they were read.

    ``dispatched``: when the request's head was written to a connection, which in a closed loop is
    its ``arrival``, too. ``last``: when anything happened to it, at the latest.
    """

    job: Job
    arrival: float
    dispatched: float
    last: float
    reads: list[tuple[float, bytes]] = field(default_factory=list)
    finished: float = 0.0


@dataclass(frozen=True)
class Scrape:
    """A metrics page."""

    time: float
    page: str


@dataclass(frozen=True)
class Ended:
    """Nothing more comes. ``fault``: why not all was served."""

    fault: ServerError | None


Event = Stream | Scrape | Ended


@dataclass(frozen=True)
class Rules:
    """How a load is sent. ``metrics``: the page that is read meanwhile, if any."""

    base_url: str
    concurrency: int | None
    stall_timeout: float
    metrics: str | None


class Exchange:
    """Serves jobs; what happens goes into ``events``, ``Ended`` last."""

    def __init__(self, client: Client, rules: Rules, events: SimpleQueue[Event]) -> None:
        self._http = client.http
        self._rules = rules
        self._events = events
        self._live: set[Stream] = set()
        self._loop = asyncio.get_running_loop()
        self._start = self._loop.time()
        self._heard = 0.0

    def _now(self) -> float:
        return self._loop.time() - self._start

    async def serve(self, jobs: Sequence[Job]) -> None:
        """Send every job and put what comes back into the queue."""
        fault = None
        try:
            await self._serve(jobs)
        except* ServerError as group:
            fault = next(e for e in _flat(group) if isinstance(e, ServerError))
        except* Exception as group:
            fault = ServerError("; ".join(told(e) for e in _flat(group)))
        finally:
            self._events.put(Ended(fault))

    async def _serve(self, jobs: Sequence[Job]) -> None:
        async with asyncio.TaskGroup() as group:
            beside = [group.create_task(self._watch())]
            if self._rules.metrics:
                beside.append(group.create_task(self._scrape(self._rules.metrics)))
            async with asyncio.TaskGroup() as requests:
                await self._dispatch(jobs, requests)
            for task in beside:
                task.cancel()

    async def _dispatch(self, jobs: Sequence[Job], requests: asyncio.TaskGroup) -> None:
        """Send by the schedule. Each wait ends at an absolute time, so errors do not add up."""
        slots = asyncio.Semaphore(self._rules.concurrency or len(jobs) or 1)
        for job in jobs:
            await slots.acquire()
            if job.arrival is None:  # the slot's user thinks, and the next slot need not wait
                requests.create_task(self._request(job, self._now() + job.pause, slots))
            else:
                await self._until(job.arrival - EARLY)
                requests.create_task(self._request(job, job.arrival, slots))

    async def _until(self, time: float) -> None:
        if (left := time - self._now()) > 0:
            await asyncio.sleep(left)

    async def _request(self, job: Job, arrival: float, slots: asyncio.Semaphore) -> None:
        await self._until(arrival - EARLY)
        now = self._now()
        stream = Stream(job, arrival, dispatched=now, last=now)
        self._live.add(stream)

        def sent() -> None:
            stream.dispatched = stream.last = self._now()
            if job.arrival is None:  # nobody scheduled it: making it ready is no latency
                stream.arrival = stream.dispatched

        departure = Departure(partial(self._until, arrival), sent)
        try:
            async with self._http.post(
                f"{self._rules.base_url}{job.path}", data=job.body, trace_request_ctx=departure
            ) as response:
                if response.status != 200:
                    page = (await response.text(errors="replace"))[:SHOWN]
                    raise ServerError(f"the server answered {response.status}: {page}")
                await self._read(stream, response.content)
        except (aiohttp.ClientError, OSError) as error:
            raise ServerError(f"a request broke off: {told(error)}") from error
        finally:
            self._live.discard(stream)
        stream.finished = stream.last
        self._events.put(stream)
        slots.release()

    async def _read(self, stream: Stream, content: aiohttp.StreamReader) -> None:
        start, now, reads = self._start, self._loop.time, stream.reads
        while received := await content.readany():
            stream.last = now() - start
            reads.append((stream.last, received))
            self._heard = stream.last

    async def _watch(self) -> None:
        """A request whose answer has begun must go on; one that waits may, while others do."""
        limit = self._rules.stall_timeout
        while True:
            await asyncio.sleep(min(WATCH_INTERVAL, limit / 4))
            now = self._now()
            for stream in self._live:
                heard = stream.last if stream.reads else max(stream.last, self._heard)
                if now - heard > limit:
                    raise ServerError(
                        f"the server has sent nothing for {limit:g} s while it had requests to "
                        "serve (option: stall_timeout)",
                        "timeout",
                    )

    async def _scrape(self, url: str) -> None:
        """Read the metrics page from time to time; a page that fails is left out."""
        limit = aiohttp.ClientTimeout(total=5.0)
        while True:
            try:
                async with self._http.get(url, timeout=limit) as response:
                    page = await response.text(errors="replace")
                    if response.status == 200:
                        self._events.put(Scrape(self._now(), page))
            except (aiohttp.ClientError, OSError):  # a dead server is the requests' to report
                pass
            await asyncio.sleep(SCRAPE_INTERVAL)


async def begin(
    client: Client, rules: Rules, jobs: Sequence[Job], events: SimpleQueue[Event]
) -> None:
    """Serve ``jobs``, whose times count from now."""
    await Exchange(client, rules, events).serve(jobs)


def _flat(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    found: list[BaseException] = []
    for error in group.exceptions:
        found += _flat(error) if isinstance(error, BaseExceptionGroup) else [error]
    return found
