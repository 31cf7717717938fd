"""Serves loads with vLLM's AsyncLLM, under whatever interpreter has vLLM.

    python worker.py SOCKET_FD

Speaks JSON lines over the inherited socket: ``open`` and ``run`` come in; facts, completions,
telemetry and failures go out. Standard library and vLLM only: it is started by its path, and that
environment need not have ablate. Times are seconds of one monotonic clock from the start of a run.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
import time
import traceback
from collections import deque
from collections.abc import Mapping
from typing import Any

from ablate_vllm_stats import Emissions, Stats
from vllm import AsyncEngineArgs, SamplingParams
from vllm import __version__ as vllm_version
from vllm.sampling_params import RequestOutputKind
from vllm.v1.engine.async_llm import AsyncLLM

USAGE_INTERVAL = 0.05  # s between telemetry samples, beside those of every new peak
WATCH_INTERVAL = 1.0  # s between looks at whether anything moves


class Worker:
    """One engine and the connection to the trial that it serves."""

    stats: Stats
    emissions: Emissions

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._engine: Any = None
        self._next_id = 0

    def send(self, **message: Any) -> None:
        self._socket.sendall(json.dumps(message).encode() + b"\n")

    async def open(self, args: Mapping[str, Any]) -> None:
        self._engine = AsyncLLM.from_engine_args(
            AsyncEngineArgs(**args, disable_log_stats=True), stat_loggers=[Stats]
        )
        self.stats = next(
            s for s in self._engine.logger_manager.stat_loggers if isinstance(s, Stats)
        )
        self.emissions = Emissions(self._engine.output_processor)
        facts = await self._engine.collective_rpc("ablate_facts")
        engines = self.stats.engines
        self.send(opened={"facts": facts, "engines": engines, "version": vllm_version})

    async def run(self, asked: Mapping[str, Any]) -> None:
        await self._engine.reset_prefix_cache()
        before = dict(self.stats.totals)
        run = _Run(self, asked)
        self.stats.on_step = run.sample
        try:
            await run.serve()
        finally:
            self.stats.on_step = None
        after = self.stats.totals
        self.send(ended={name: total - before.get(name, 0.0) for name, total in after.items()})

    async def answer(
        self, prompt: list[int], params: SamplingParams
    ) -> tuple[Any, list[tuple[float, int]]]:
        """The final output, and when its tokens came."""
        self._next_id += 1
        name = str(self._next_id)
        noted = self.emissions.expect(name)
        final = None
        try:
            async for out in self._engine.generate({"prompt_token_ids": prompt}, params, name):
                final = out
        finally:
            self.emissions.forget(name)
        return final, noted


class _Run:
    """Serves one load."""

    def __init__(self, worker: Worker, asked: Mapping[str, Any]) -> None:
        self._worker = worker
        self._pending = deque(asked["requests"])
        self._concurrency = asked["concurrency"]
        self._sampling = asked["sampling"]
        self._stall = asked["stall_timeout"]
        self._in_flight = 0
        self._next_usage = 0.0
        self._peak = 0.0
        self._start = time.perf_counter()

    def _now(self) -> float:
        return time.perf_counter() - self._start

    async def serve(self) -> None:
        self._usage(self._now())
        async with asyncio.TaskGroup() as group:
            watch = group.create_task(self._watch())
            async with asyncio.TaskGroup() as requests:
                if self._pending and self._pending[0]["arrival"] is not None:
                    await self._open_loop(requests)
                else:
                    slots = self._concurrency or len(self._pending)
                    for _ in range(min(slots, len(self._pending))):
                        requests.create_task(self._slot())
            watch.cancel()
        self._usage(self._now())

    async def _open_loop(self, group: asyncio.TaskGroup) -> None:
        free = asyncio.Semaphore(self._concurrency or len(self._pending))
        while self._pending:
            request = self._pending.popleft()
            await asyncio.sleep(max(request["arrival"] - self._now(), 0.0))
            await free.acquire()
            task = group.create_task(self._answer(request, request["arrival"]))
            task.add_done_callback(lambda _: free.release())

    async def _slot(self) -> None:
        while self._pending:
            request = self._pending.popleft()
            arrival = self._now() + request["pause"]
            await asyncio.sleep(request["pause"])
            await self._answer(request, arrival)

    async def _answer(self, request: Mapping[str, Any], arrival: float) -> None:
        dispatched = self._now()
        params = SamplingParams(
            **self._sampling,
            seed=request["seed"],
            max_tokens=request["max_tokens"],
            stop=request["stop"],
            detokenize=bool(request["stop"]),  # only to look for these; the trial makes the text
            output_kind=RequestOutputKind.FINAL_ONLY,
        )
        self._in_flight += 1
        try:
            out, noted = await self._worker.answer(request["prompt"], params)
        finally:
            self._in_flight -= 1
        new = out.outputs[0]
        times = [moment - self._start for moment, count in noted for _ in range(count)]
        if len(times) != len(new.token_ids):
            raise RuntimeError(
                f"vLLM returned {len(new.token_ids)} tokens and emitted {len(times)} of them"
            )
        self._worker.send(
            done={
                "id": request["id"],
                "tokens": list(new.token_ids),
                "times": times,
                "reason": new.finish_reason,
                "cached": out.num_cached_tokens or 0,
                "arrival": arrival,
                "dispatched": dispatched,
                "finished": times[-1] if times else self._now(),
            }
        )

    def sample(self) -> None:
        """A telemetry sample, if it is time for one or the cache has never been so full."""
        now = self._now()
        if now >= self._next_usage or self._worker.stats.kv_usage > self._peak:
            self._usage(now)

    def _usage(self, now: float) -> None:
        stats = self._worker.stats
        self._next_usage = now + USAGE_INTERVAL
        self._peak = max(self._peak, stats.kv_usage)
        self._worker.send(
            usage={
                "time": now,
                "running": stats.running,
                "waiting": stats.waiting,
                "kv_usage": stats.kv_usage,
            }
        )

    async def _watch(self) -> None:
        """Fail when requests are in flight and the engine has made no step for too long."""
        quiet_since = time.perf_counter()
        while True:
            await asyncio.sleep(WATCH_INTERVAL)
            if not self._in_flight:
                quiet_since = time.perf_counter()
            quiet_since = max(quiet_since, self._worker.stats.moved)
            if time.perf_counter() - quiet_since > self._stall:
                raise TimeoutError(
                    f"vLLM made no step for {self._stall:g} s with {self._in_flight} requests "
                    "in flight (option: stall_timeout)"
                )


async def serve(connection: socket.socket) -> None:
    worker = Worker(connection)
    connection.setblocking(True)
    loop = asyncio.get_running_loop()
    incoming = connection.makefile("rb")
    while line := await loop.run_in_executor(None, incoming.readline):
        message = json.loads(line)
        try:
            if "open" in message:
                await worker.open(message["open"])
            else:
                await worker.run(message["run"])
        except Exception as error:  # vLLM may raise anything; the trial is told
            traceback.print_exc()
            cause = _first(error)
            worker.send(
                failed={
                    "message": f"{type(cause).__name__}: {cause}",
                    "timeout": isinstance(cause, TimeoutError),
                }
            )


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


if __name__ == "__main__":  # vLLM starts processes that import this file
    try:
        asyncio.run(serve(socket.socket(fileno=int(sys.argv[1]))))
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)  # the supervisor ends vLLM's processes
