"""What vLLM reports of each step: totals, state, and when each request's tokens came out."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from vllm.v1.metrics.loggers import PrometheusStatLogger


class Stats(PrometheusStatLogger):  # type: ignore[misc]
    """Totals of what vLLM reports of each step, and the state of each engine after its newest.

    Takes the place of vLLM's Prometheus logger, which costs time in every step and which nobody
    reads here.
    """

    def __init__(self, vllm_config: Any, engine_indexes: list[int] | None = None) -> None:
        self.engines = len(engine_indexes or [0])
        self.totals: dict[str, float] = {}
        self.moved = time.perf_counter()
        self.on_step: Callable[[], None] | None = None
        self._states: dict[int, Any] = {}

    def log_engine_initialized(self) -> None:
        """Nothing to say."""

    def record(
        self,
        scheduler_stats: Any,
        iteration_stats: Any,
        mm_cache_stats: Any = None,
        engine_idx: int = 0,
    ) -> None:
        self.moved = time.perf_counter()
        if iteration_stats is not None:
            self._add("num_preemptions", iteration_stats.num_preempted_reqs)
        if scheduler_stats is None:
            return
        self._add("num_steps", 1)
        self._states[engine_idx] = scheduler_stats
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

    @property
    def running(self) -> int:
        return sum(s.num_running_reqs for s in self._states.values())

    @property
    def waiting(self) -> int:
        return sum(
            s.num_waiting_reqs + getattr(s, "num_skipped_waiting_reqs", 0)
            for s in self._states.values()
        )

    @property
    def kv_usage(self) -> float:
        """Share of all engines' KV caches in use."""
        return float(sum(s.kv_cache_usage for s in self._states.values())) / self.engines


class Emissions:
    """When each request's tokens came out of the engine, as (seconds, how many).

    Noted where vLLM's front end receives a step's output, so that requests need not be streamed:
    waking a task for each token of each request takes longer than a small model's step.
    """

    def __init__(self, processor: Any) -> None:
        self._of: dict[str, list[tuple[float, int]]] = {}
        self._process = processor.process_outputs
        processor.process_outputs = self._noting
        self._states = processor.request_states

    def expect(self, request_id: str) -> list[tuple[float, int]]:
        noted: list[tuple[float, int]] = []
        self._of[request_id] = noted
        return noted

    def forget(self, request_id: str) -> None:
        del self._of[request_id]

    def _noting(self, outputs: Any, *args: Any, **kwargs: Any) -> Any:
        now = time.perf_counter()
        for output in outputs:
            state = self._states.get(output.request_id)
            # vLLM may give a request another id inside
            name = getattr(state, "external_req_id", output.request_id)
            if name in self._of:
                self._of[name].append((now, len(output.new_token_ids)))
        return self._process(outputs, *args, **kwargs)
