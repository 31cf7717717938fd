"""Slots for KV stores with memory of several kinds, and what of it fits into the budget."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

from ablate.engines.local.growing import grown
from ablate.engines.local.memory import Memory
from ablate.engines.local.slotkeeping import SlotKeeper
from ablate.engines.local.slots import CacheShape
from ablate.types import Limits


class SlottedStore(SlotKeeper):
    """A derived store says what memory it has, and how much of each a sequence takes."""

    def __init__(self, model: Any, limits: Limits) -> None:
        super().__init__()
        self.shape = CacheShape.of(model)
        self.limits = limits
        self._reserved = (0, 0)  # slots and tokens of each
        self.lookahead = 0  # committed tokens of a sequence that may be taken back

    @property
    @abstractmethod
    def memories(self) -> Sequence[Memory]:
        """All memory with a slot for each sequence."""

    @abstractmethod
    def entries(self, length: int) -> Sequence[int]:
        """How many entries of each memory a sequence of ``length`` takes; a longer one no fewer."""

    @property
    def capacity_tokens(self) -> int:
        return int(self.limits.kv_cache_memory_bytes // self.bytes_per_token)

    @property
    def tokens(self) -> int:
        return sum(self.holds(length) for length in self._length.values())

    @property
    def allocated_bytes(self) -> int:
        return sum(memory.bytes for memory in self.memories)

    @property
    def _room_bytes(self) -> float:
        return self.room_tokens * self.bytes_per_token

    def _slot_bytes(self, length: int) -> int:
        taken = zip(self.memories, self.entries(length), strict=True)
        return sum(memory.entry_bytes * entries for memory, entries in taken)

    def _slots_bytes(self, slots: int, length: int) -> int:
        """What so many slots for sequences of ``length`` take."""
        return slots * self._slot_bytes(length)

    def set_lookahead(self, tokens: int) -> None:
        self.lookahead = tokens

    def fits(self, lengths: Sequence[int]) -> bool:
        """Every slot is as long as the longest; a drafter's, too, which holds all its tokens."""
        longest = max(lengths, default=0)
        drafted = len(lengths) * longest * self._aside
        return (
            self._slots_bytes(len(lengths), longest) <= self._room_bytes
            and drafted <= self.limits.kv_cache_memory_bytes - self._room_bytes
        )

    def move(self, source: int, target: int) -> None:
        for memory in self.memories:
            memory.move(source, target)

    def reserve(self, length: int) -> None:
        """Make room for all admitted sequences, of up to ``length`` tokens or as many as held."""
        slots = len(self._owner)
        if slots <= self._reserved[0] and length <= self._reserved[1]:
            return
        need = slots, max([length, *self._length.values()])
        most = self.limits.max_num_seqs, self.limits.max_model_len + self.lookahead
        self._reserved = grown(self._reserved, need, most, self._slots_bytes, self._room_bytes)
        for memory, entries in zip(self.memories, self.entries(self._reserved[1]), strict=True):
            memory.resize(self._reserved[0], entries)
