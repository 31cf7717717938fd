"""The engine's own KV store, which remembers what was asked of it beyond appending."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ablate.engines.local.batch import Batch
from ablate.engines.local.interfaces import Block, KVStore, Seq
from ablate.engines.local.slots import SlotStore
from ablate.plugins import Plugin, hookimpl
from ablate.types import Evidence, EvidenceState, Limits


@dataclass(frozen=True)
class Watch:
    """Capabilities that were used, and how."""

    seen: dict[str, str] = field(default_factory=dict)


class WatchedStore(SlotStore):
    """The standard store."""

    def __init__(self, model: Any, limits: Limits, watch: Watch) -> None:
        super().__init__(model, limits)
        self._watch = watch
        self._written: dict[int, int] = {}

    def begin(self, batch: Batch) -> None:
        super().begin(batch)
        self._written |= {s.seq_id: s.start + len(s.tokens) for s in batch.spans}

    def commit(self, seq: Seq, length: int) -> None:
        if length < self._written.get(seq.id, length):
            self._watch.seen["rollback"] = "commits fewer tokens than it wrote"
        super().commit(seq, length)

    def export(self, seq_id: int, start: int, end: int) -> Block:
        self._watch.seen["shared_blocks"] = "exports blocks"
        return super().export(seq_id, start, end)

    def adopt(self, seq_id: int, start: int, block: Block) -> None:
        self._watch.seen["shared_blocks"] = "adopts blocks"
        super().adopt(seq_id, start, block)


@dataclass(frozen=True)
class WatchedCache(Plugin):
    """Supplies the watched store."""

    watch: Watch

    @hookimpl
    def ablate_setup_cache(self, model: Any, limits: Limits) -> KVStore:
        return WatchedStore(model, limits, self.watch)

    @hookimpl
    def ablate_evidence(self, state: EvidenceState) -> Evidence:
        return Evidence("watched", True, "watches")
