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

from vllm import AsyncEngineArgs, SamplingParams
from vllm import __version__ as vllm_version
from vllm.sampling_params import RequestOutputKind
from vllm.v1.engine.async_llm import AsyncLLM
from vllm.v1.metrics.loggers import StatLoggerBase

USAGE_INTERVAL = 0.05  # s between telemetry samples, beside those of every new peak
WATCH_INTERVAL = 1.0  # s between looks at whether anything moves


class Stats(StatLoggerBase):  # type: ignore[misc]
    """Totals of what vLLM reports of each step, and its state after the newest."""

    def __init__(self, *_: Any) -> None:
        self.totals: dict[str, float] = {}
        self.running, self.waiting, self.kv_usage = 0, 0, 0.0
        self.moved = time.perf_counter()
        self.on_step: Any = None

    def log_engine_initialized(self) -> None:
        """Nothing to say."""

    def record(self, scheduler_stats: Any, iteration_stats: Any, *args: Any, **kwargs: Any) -> None:
        self.moved = time.perf_counter()
        if iteration_stats is not None:
            self._add("num_preemptions", iteration_stats.num_preempted_reqs)
        if scheduler_stats is None:
            return
        self._add("num_steps", 1)
        self.running = scheduler_stats.num_running_reqs
        self.waiting = scheduler_stats.num_waiting_reqs
        self.waiting += getattr(scheduler_stats, "num_skipped_waiting_reqs", 0)
        self.kv_usage = scheduler_stats.kv_cache_usage
        prefix = scheduler_stats.prefix_cache_stats
        if prefix is not None:
            self._add("prefix_cache_queries", prefix.queries)
            self._add("prefix_cache_hits", prefix.hits)
        drafting = scheduler_stats.spec_decoding_stats
        if drafting is not None:
            self._add("spec_num_drafts", drafting.num_drafts)
            self._add("spec_num_draft_tokens", drafting.num_draft_tokens)
            self._add("spec_num_accepted_tokens", drafting.num_accepted_tokens)
        if self.on_step is not None:
            self.on_step()

    def _add(self, name: str, amount: float) -> None:
        self.totals[name] = self.totals.get(name, 0.0) + amount


class Worker:
    """One engine and the connection to the trial that it serves."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._stats: list[Stats] = []
        self._engine: Any = None
        self._next_id = 0

    def send(self, **message: Any) -> None:
        self._socket.sendall(json.dumps(message).encode() + b"\n")

    async def open(self, args: Mapping[str, Any]) -> None:
        self._engine = AsyncLLM.from_engine_args(
            AsyncEngineArgs(**args), stat_loggers=[self._new_stats]
        )
        facts = await self._engine.collective_rpc("ablate_facts")
        for rank in facts:  # replicas of a dense model say that they are alone
            rank["settings"]["data_parallel_size"] = len(self._stats)
        self.send(opened={"facts": facts, "version": vllm_version})

    def _new_stats(self, *_: Any) -> Stats:
        self._stats.append(Stats())
        return self._stats[-1]

    async def run(self, asked: Mapping[str, Any]) -> None:
        await self._engine.reset_prefix_cache()
        before = self._totals()
        run = _Run(self, asked)
        for stats in self._stats:
            stats.on_step = run.sample
        try:
            await run.serve()
        finally:
            for stats in self._stats:
                stats.on_step = None
        after = self._totals()
        self.send(ended={name: total - before.get(name, 0.0) for name, total in after.items()})

    def _totals(self) -> dict[str, float]:
        totals: dict[str, float] = {}
        for stats in self._stats:
            for name, amount in stats.totals.items():
                totals[name] = totals.get(name, 0.0) + amount
        return totals

    def state(self) -> tuple[int, int, float, float]:
        """Running, waiting, share of the KV cache in use, and when anything last moved."""
        each = self._stats
        return (
            sum(s.running for s in each),
            sum(s.waiting for s in each),
            sum(s.kv_usage for s in each) / max(len(each), 1),
            max((s.moved for s in each), default=0.0),
        )

    def generate(self, prompt: list[int], params: SamplingParams) -> Any:
        self._next_id += 1
        return self._engine.generate({"prompt_token_ids": prompt}, params, str(self._next_id))


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
            await self._answer(self._pending.popleft(), self._now())

    async def _answer(self, request: Mapping[str, Any], arrival: float) -> None:
        dispatched = self._now()
        params = SamplingParams(
            **self._sampling,
            seed=request["seed"] if self._sampling["temperature"] else None,
            detokenize=False,
            output_kind=RequestOutputKind.DELTA,
        )
        self._in_flight += 1
        tokens: list[int] = []
        times: list[float] = []
        reason, cached = None, 0
        try:
            async for out in self._worker.generate(request["prompt"], params):
                now = self._now()
                new = out.outputs[0]
                tokens.extend(new.token_ids)
                times.extend([now] * len(new.token_ids))
                reason = new.finish_reason or reason
                cached = out.num_cached_tokens or cached
        finally:
            self._in_flight -= 1
        done = {"tokens": tokens, "times": times, "reason": reason, "cached": cached}
        moments = {"arrival": arrival, "dispatched": dispatched, "finished": self._now()}
        self._worker.send(done={"id": request["id"], **done, **moments})

    def sample(self) -> None:
        """A telemetry sample, if it is time for one or the cache has never been so full."""
        now = self._now()
        if now >= self._next_usage or self._worker.state()[2] > self._peak:
            self._usage(now)

    def _usage(self, now: float) -> None:
        running, waiting, kv_usage, _ = self._worker.state()
        self._next_usage = now + USAGE_INTERVAL
        self._peak = max(self._peak, kv_usage)
        self._worker.send(
            usage={"time": now, "running": running, "waiting": waiting, "kv_usage": kv_usage}
        )

    async def _watch(self) -> None:
        """Fail when requests are in flight and the engine has made no step for too long."""
        quiet_since = time.perf_counter()
        while True:
            await asyncio.sleep(WATCH_INTERVAL)
            if not self._in_flight:
                quiet_since = time.perf_counter()
            quiet_since = max(quiet_since, self._worker.state()[3])
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
