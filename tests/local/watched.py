"""Serving with every output token noted, and the memory that keys and values take watched."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ablate.engines.local.interfaces import KVStore, Scheduler, Seq
from ablate.engines.local.session import GIB, LocalSession
from ablate.plugins import Plugin, hookimpl
from ablate.types import Evidence, EvidenceState, Limits, Load, Request, Sampling
from tests.local.reference import NEW_TOKENS, PROMPTS
from tests.local.serving import Served, open_session, requests


@dataclass(frozen=True)
class Watching(Plugin):
    """Text hides tokens that are no text: what was said is noted as each request ends."""

    said: dict[str, tuple[int, ...]] = field(default_factory=dict)

    @hookimpl(wrapper=True)
    def ablate_schedule(
        self, cache: KVStore, limits: Limits
    ) -> Generator[None, Scheduler, Scheduler]:
        scheduler = yield
        schedule, finish = scheduler.schedule, scheduler.finish

        def noted(seq: Seq) -> None:
            self.said[seq.request.id] = tuple(seq.tokens[seq.prompt_len :])
            finish(seq)

        def watched() -> Any:
            assert cache.used_bytes <= cache.allocated_bytes <= limits.kv_cache_memory_bytes
            return schedule()

        scheduler.finish, scheduler.schedule = noted, watched  # type: ignore[method-assign]
        return scheduler

    @hookimpl
    def ablate_evidence(self, state: EvidenceState) -> Evidence:
        return Evidence("watching", True, "watches")


def token_bytes(path: Path) -> int:
    """What one token takes in float32, over all layers."""
    config = json.loads((path / "config.json").read_text(encoding="utf-8"))
    heads, size = config["num_key_value_heads"], config["head_dim"]
    return int(2 * 4 * config["num_hidden_layers"] * heads * size)


class Watched:
    """A session that can serve again and again. ``budget``: tokens of KV memory."""

    def __init__(
        self,
        path: Path,
        plugins: Mapping[str, Plugin] | None = None,
        *,
        sampling: Sampling | None = None,
        budget: int | None = None,
        concurrency: int = 32,
        **options: Any,
    ) -> None:
        self._watching = Watching()
        room: dict[str, Any] = {}
        if budget is not None:
            room["kv_cache_gib"] = budget * token_bytes(path) / GIB
        self.session: LocalSession = open_session(
            path,
            plugins={"watching": self._watching, **(plugins or {})},
            sampling=sampling or Sampling(max_tokens=NEW_TOKENS),
            concurrency=concurrency,
            **options,
            **room,
        )
        self._concurrency = concurrency

    def serve(
        self,
        prompts: Sequence[str] = PROMPTS,
        order: Callable[[tuple[Request, ...]], tuple[Request, ...]] = tuple,
    ) -> tuple[tuple[int, ...], ...]:
        """The output tokens of each prompt's answer. ``order``: in which they are sent."""
        served = Served()
        load = Load(order(requests(prompts)), self._concurrency)
        self.session.run(load, served.take, served.usage.append)
        for usage in served.usage:  # a drafter's memory is in these figures only
            used, taken, given = usage.kv_bytes, usage.kv_allocated_bytes, usage.kv_budget_bytes
            assert used is not None
            assert taken is not None
            assert given is not None
            assert used <= taken <= given
        return tuple(self._watching.said[str(i)] for i in range(len(prompts)))

    @property
    def counted(self) -> Mapping[str, float]:
        """The counters of the last load."""
        return self.session.evidence_state("measured").counters
