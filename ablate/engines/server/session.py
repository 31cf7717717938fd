"""An OpenAI-compatible server in use: loads out, completions and telemetry in."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from queue import Empty, SimpleQueue
from typing import Literal

from ablate.child import Service, cpu_seconds, peak_rss_bytes
from ablate.engines.base import Session
from ablate.engines.server import ServerEngine
from ablate.engines.server.asking import Asker, Tally
from ablate.engines.server.client import Client, ServerError
from ablate.engines.server.exchange import Ended, Event, Rules, Scrape, begin
from ablate.engines.server.process import failure
from ablate.engines.server.telemetry import counters, engines, usage
from ablate.types import Completion, EngineFacts, EvidenceState, Load, Usage

DRAIN = 5.0  # s
FLUSH_TRIES, FLUSH_WAIT = 10, 0.2  # s
SWITCH = 2e-4  # s that the client's thread waits, at most, while this one reads or grades


class ServerSession(Session):
    """A server that answers. ``service``: its process, if it is ours."""

    def __init__(
        self,
        options: ServerEngine,
        service: Service | None,
        client: Client,
        asker: Asker,
        facts: EngineFacts,
        metrics: str | None,
    ) -> None:
        self._options = options
        self._service = service
        self._client = client
        self._asker = asker
        self._metrics = metrics
        self._flushed: bool | None = None
        self._counted: Mapping[str, float] = {}
        self._told = self.facts = facts

    @property
    def weight_bytes(self) -> int | None:
        return self.facts.weight_bytes

    @property
    def cpu_seconds(self) -> float | None:
        return cpu_seconds(self._service.tree) if self._service else None

    @property
    def peak_rss_bytes(self) -> int | None:
        return peak_rss_bytes(self._service.tree) if self._service else None

    @property
    def info(self) -> Mapping[str, str]:
        told = ("dtype", "kv_cache_dtype", "attention_backend", "max_num_seqs", "enforce_eager")
        settings = self.facts.settings
        return {
            "engine": f"server: {self._options.backend}",
            "server": self._client.base_url if self._service is None else "launched",
            "endpoint": self._asker.endpoint,
            "model": self._asker.model,
            **{name: str(settings[name]) for name in told if settings.get(name) is not None},
            "token counts": self._asker.tally.sentence,
            "prefix cache": self._carried_over(),
        }

    def _carried_over(self) -> str:
        """What the measured requests found in the cache of what was served before them."""
        if self._flushed:
            return "emptied before each run"
        tally = self._asker.tally
        if not tally.says_cached:
            return "not emptied; the server does not say what it held"
        held = f"{tally.cached_tokens} of {tally.prompt_tokens} prompt tokens came from the cache"
        return f"not emptied: {held}"

    def run(
        self,
        load: Load,
        on_completion: Callable[[Completion], None],
        on_usage: Callable[[Usage], None],
    ) -> Mapping[str, float]:
        self._asker = replace(self._asker, tally=Tally(), prompts={})
        try:
            self._flushed = self._flush()
            page = self._page()
            before = counters(page, self._asker.dialect)
            self._count_engines(page)
            with _short_turns():
                self._serve(load, on_completion, on_usage)
            after = counters(self._page(), self._asker.dialect)
        except ServerError as fault:
            raise failure(self._service, fault) from fault
        gained = {k: v - before.get(k, 0.0) for k, v in after.items()}
        self._counted = {**self._asker.tally.counters, **gained}
        return self._counted

    def _serve(
        self,
        load: Load,
        on_completion: Callable[[Completion], None],
        on_usage: Callable[[Usage], None],
    ) -> None:
        """Read and report what the client's thread brings, as it comes."""
        rules = Rules(
            base_url=self._client.base_url,
            concurrency=load.concurrency,
            stall_timeout=self._options.stall_timeout,
            metrics=f"{self._client.root}{self._metrics}" if self._metrics else None,
        )
        events: SimpleQueue[Event] = SimpleQueue()
        working = self._client.start(begin(self._client, rules, self._asker.jobs(load), events))
        try:
            while not isinstance(event := events.get(), Ended):
                if isinstance(event, Scrape):
                    sample = usage(event.time, event.page, self._asker.dialect, self.facts)
                    if sample is not None:
                        on_usage(sample)
                else:
                    request = load.requests[event.job.index]
                    on_completion(self._asker.completion(event, request))
        except BaseException:
            working.cancel()
            _drain(events)
            raise
        if event.fault is not None:
            raise event.fault

    def _flush(self) -> bool:
        """Whether the prefix cache was emptied; what has just ended may hold it a little longer."""
        dialect = self._asker.dialect
        if dialect.flush is None:
            return False
        for _ in range(FLUSH_TRIES):
            answer = self._client.post(dialect.flush)
            if answer.status == 200 and dialect.flushed in answer.text:
                return True
            if answer.status == 404:
                break
            time.sleep(FLUSH_WAIT)
        return False

    def _page(self) -> str:
        return self._client.get(self._metrics).text if self._metrics else ""

    def _count_engines(self, page: str) -> None:
        found = engines(page, self._asker.dialect)
        launcher = self._options.launcher
        if found > 1 and launcher is not None and launcher.replicated is not None:
            self.facts = launcher.replicated(self._told, found)

    def evidence_state(self, stage: Literal["warmup", "measured"]) -> EvidenceState:
        return EvidenceState(
            engine=self._options.backend,
            stage=stage,
            components={"facts": self.facts},
            counters=self._counted,
        )

    def close(self) -> None:
        self._client.close()
        if self._service is not None:
            self._service.close()


def _drain(events: SimpleQueue[Event]) -> None:
    """Wait until the client's thread has let go of a load that was given up."""
    with suppress(Empty):
        while not isinstance(events.get(timeout=DRAIN), Ended):
            pass


@contextmanager
def _short_turns() -> Iterator[None]:
    """Keep reading and grading from delaying the client's thread."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH)
    try:
        yield
    finally:
        sys.setswitchinterval(usual)
