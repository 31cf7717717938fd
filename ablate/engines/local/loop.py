"""The serving loop: arrivals in, steps, completions out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ablate.engines.local.arriving import Arrivals
from ablate.engines.local.clock import Clock
from ablate.engines.local.interfaces import Chunk, DecodeStep, KVStore, Scheduler, Seq
from ablate.engines.stops import StopTexts
from ablate.engines.text import Codebook, completion_of
from ablate.types import Completion, FinishReason, Load, Sampling, Usage

USAGE_INTERVAL = 0.05  # s between telemetry samples, beside those of every new peak


@dataclass(frozen=True)
class Parts:
    """What the loop drives."""

    cache: KVStore
    step: DecodeStep
    scheduler: Scheduler
    codebook: Codebook


class Loop:
    """Serves one load. Times are seconds from ``start``."""

    def __init__(
        self,
        parts: Parts,
        clock: Clock,
        sampling: Sampling,
        on_completion: Callable[[Completion], None],
        on_usage: Callable[[Usage], None],
    ) -> None:
        self._parts = parts
        self._clock = clock
        self._sampling = sampling
        self._on_completion = on_completion
        self._on_usage = on_usage
        self._stops: dict[tuple[str, ...], StopTexts] = {}
        self._arrivals = Arrivals(Load(()), (), 0)
        self._start = 0.0
        self._next_usage = 0.0
        self._peak = 0
        self._in_flight = 0

    def run(self, load: Load, prompts: Sequence[list[int]], first_id: int) -> None:
        """Serve ``load``, whose prompts are tokenized already; ids count up from ``first_id``."""
        self._arrivals = Arrivals(load, prompts, first_id)
        self._start = self._clock.now()
        self._sample_usage()
        while self._arrivals or self._in_flight:
            self._dispatch(load.concurrency)
            if self._in_flight:
                self._advance()
            else:
                self._clock.sleep(max(self._arrivals.next - self._now(), 0.0))
        self._sample_usage()

    def _now(self) -> float:
        return self._clock.now() - self._start

    def _dispatch(self, concurrency: int | None) -> None:
        now = self._now()
        while concurrency is None or self._in_flight < concurrency:
            one = self._arrivals.take(now)
            if one is None:
                return
            most = self._sampling.limit(one.request.problem)
            tokens, size = list(one.prompt), len(one.prompt)
            seq = Seq(one.id, one.request, tokens, size, most, one.arrival, now)
            self._parts.scheduler.add(seq)
            self._in_flight += 1

    def _advance(self) -> None:
        chunks = self._parts.scheduler.schedule()
        for preempted in self._parts.scheduler.take_preempted():
            preempted.preemptions += 1
            self._parts.step.release(preempted.id)
        if not chunks:
            raise RuntimeError("the scheduler has requests and schedules none of them")
        new = self._parts.step(chunks)
        now = self._now()
        # before what has ended is freed: a peak between two samples would go unseen
        if now >= self._next_usage or self._kv_bytes() > self._peak:
            self._sample_usage()
        for chunk, tokens in zip(chunks, new, strict=True):
            self._deliver(chunk, tokens, now)

    def _deliver(self, chunk: Chunk, tokens: Sequence[int], now: float) -> None:
        seq = chunk.seq
        known = len(seq.tokens) - len(tokens)
        for end, token in enumerate(tokens, known + 1):
            seq.token_times.append(now)
            stopped = token in self._parts.codebook.stop_ids or self._reached_stop(seq, end)
            if stopped or len(seq.token_times) == seq.max_tokens:
                del seq.tokens[end:]
                self._finish(seq, now, "stop" if stopped else "length")
                return

    def _reached_stop(self, seq: Seq, end: int) -> bool:
        stop = seq.request.problem.stop
        if not stop:
            return False
        if stop not in self._stops:
            self._stops[stop] = StopTexts(stop, self._parts.codebook.text)
        return self._stops[stop].reached(seq.tokens, seq.prompt_len, end)

    def _finish(self, seq: Seq, now: float, reason: FinishReason) -> None:
        self._parts.scheduler.finish(seq)
        self._parts.step.release(seq.id)
        self._in_flight -= 1
        self._arrivals.slot_opened(now)
        self._on_completion(completion(seq, now, reason, self._parts.codebook))

    def _kv_bytes(self) -> int:
        return self._parts.cache.used_bytes + self._parts.step.kv_bytes

    def _sample_usage(self) -> None:
        cache, step, scheduler = self._parts.cache, self._parts.step, self._parts.scheduler
        now, used = self._now(), self._kv_bytes()
        self._next_usage = now + USAGE_INTERVAL
        self._peak = max(self._peak, used)
        self._on_usage(
            Usage(
                time=now,
                running=scheduler.running,
                waiting=scheduler.waiting,
                kv_tokens=cache.tokens,
                kv_bytes=used,
                kv_allocated_bytes=cache.allocated_bytes + step.kv_allocated_bytes,
                kv_budget_bytes=round(cache.capacity_tokens * cache.bytes_per_token),
            )
        )


def completion(seq: Seq, now: float, reason: FinishReason, codebook: Codebook) -> Completion:
    """What is reported of a sequence that ended ``now``."""
    return completion_of(
        codebook,
        request_id=seq.request.id,
        prompt=seq.tokens[: seq.prompt_len],
        output=seq.tokens[seq.prompt_len :],
        token_times=seq.token_times,
        arrival=seq.arrival,
        dispatched=seq.dispatched,
        finished=now,
        finish_reason=reason,
        cached_tokens=seq.cached_tokens,
        preemptions=seq.preemptions,
        stop=seq.request.problem.stop,
    )


def counters(parts: Parts) -> Mapping[str, float]:
    """The totals of all parts."""
    return {**parts.step.counters, **parts.cache.counters, **parts.scheduler.counters}
