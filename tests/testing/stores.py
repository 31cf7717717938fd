"""KV stores, a scheduler and sessions that each break one promise."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from ablate.engines.local.batch import Batch, Group
from ablate.engines.local.interfaces import Block, KVStore, Seq
from ablate.engines.local.scheduler import QueueScheduler
from ablate.engines.local.slots import CacheShape, Codec, SlotStore
from ablate.types import Limits


class Sign(Codec):
    """One bit for each number."""

    def planes(self, shape: CacheShape) -> tuple[tuple[int, torch.dtype], ...]:
        return ((shape.head_dim, torch.int8),)

    def encode(self, x: Tensor) -> tuple[Tensor, ...]:
        return (x.sign().to(torch.int8),)

    def decode(self, planes: tuple[Tensor, ...], dtype: torch.dtype) -> Tensor:
        return planes[0].to(dtype)


class SignStore(SlotStore):
    """Loses precision, and nothing else."""

    def __init__(self, model: Any, limits: Limits) -> None:
        super().__init__(model, limits, Sign())


class Stale(SlotStore):
    """Never overwrites what was written once."""

    def append(self, layer: int, key: Tensor, value: Tensor) -> None:
        plane, (slots, positions) = list(self._memory)[layer], self._where
        held = plane[:, slots, :, positions]
        empty = (held == 0).all(-1, keepdim=True)
        plane[:, slots, :, positions] = torch.where(empty, torch.stack((key, value), 1), held)

    def free(self, seq_id: int) -> None:
        slot = self._slot_of[seq_id]
        super().free(seq_id)
        last = len(self._owner)
        for plane in self._memory:
            plane[:, last] = 0
            if slot != last:
                plane[:, slot, :, self._length[self._owner[slot]] :] = 0


class Swapped(SlotStore):
    """Gives values for keys."""

    def read(self, layer: int, group: Group) -> tuple[Tensor, Tensor]:
        keys, values = super().read(layer, group)
        return values, keys


class Mixed(SlotStore):
    """Mixes the rows of a batch up."""

    def read(self, layer: int, group: Group) -> tuple[Tensor, Tensor]:
        keys, values = super().read(layer, group)
        return keys.flip(0), values.flip(0)


class Undefined(SlotStore):
    """Leaves NaN beyond a row's length."""

    def _reserve(self, slots: int, positions: int) -> None:
        had_slots, had_positions = self._memory.slots, self._memory.positions
        super()._reserve(slots, positions)
        for plane in self._memory:
            plane[:, had_slots:] = torch.nan
            plane[:, :, :, had_positions:] = torch.nan


class Careless(SlotStore):
    """Leaves what it moved where it was: another's tokens come back."""

    def free(self, seq_id: int) -> None:
        hole = self._slot_of.pop(seq_id)
        del self._length[seq_id]
        mover = self._owner.pop()
        if hole < len(self._owner):
            self._owner[hole] = mover
            self._slot_of[mover] = hole


class Thin(SlotStore):
    """Holds more than it says."""

    @property
    def tokens(self) -> int:
        return super().tokens // 2 + 1 if super().tokens else 0


class Boundless(SlotStore):
    """Says that anything fits."""

    @property
    def capacity_tokens(self) -> int:
        return 1 << 40


class Wasteful(SlotStore):
    """Lets in what its tokens need, and takes as much for each sequence as for the longest."""

    def fits(self, lengths: Sequence[int]) -> bool:
        return KVStore.fits(self, lengths)


class Shut(SlotStore):
    """Lets nobody in."""

    def fits(self, lengths: Sequence[int]) -> bool:
        return False


class Narrow(SlotStore):
    """Gives its heads one by one, which is another form."""

    def read(self, layer: int, group: Group) -> tuple[Tensor, Tensor]:
        keys, values = super().read(layer, group)
        return keys.transpose(1, 2), values.transpose(1, 2)


class Viewing(SlotStore):
    """Exports its own memory, which changes."""

    def export(self, seq_id: int, start: int, end: int) -> Block:
        slot = self._slot_of[seq_id]
        return tuple(plane[:, slot, :, start:end] for plane in self._memory)

    def adopt(self, seq_id: int, start: int, block: Block) -> None:
        end = start + block[0].shape[2]
        self._reserve(len(self._owner), end)
        for plane, part in zip(self._memory, block, strict=True):
            plane[:, self._slot_of[seq_id], :, start:end] = part
        self._length[seq_id] = end


class Generous(SlotStore):
    """Says that all known tokens are held."""

    def add(self, seq: Seq) -> int:
        super().add(seq)
        return len(seq.tokens)


class Window(SlotStore):
    """Keeps the last eight tokens; what it dropped it cannot roll back to."""

    LAST = 8

    def begin(self, batch: Batch) -> None:
        super().begin(batch)
        self._ends = [(s.seq_id, s.start + len(s.tokens)) for s in batch.spans]

    def append(self, layer: int, key: Tensor, value: Tensor) -> None:
        super().append(layer, key, value)
        plane = list(self._memory)[layer]
        for seq_id, end in self._ends:
            plane[:, self._slot_of[seq_id], :, : max(end - self.LAST, 0)] = 0

    @property
    def tokens(self) -> int:
        return sum(min(n, self.LAST) for n in self._length.values())


STORES: Sequence[tuple[Callable[[Any, Limits], Any], frozenset[str], str]] = (
    (Stale, frozenset(), "must undo the rest"),
    (Swapped, frozenset(), "are keys and values, heads or rows mixed up"),
    (Mixed, frozenset(), "reads back off"),
    (Undefined, frozenset(), "not finite"),
    (Careless, frozenset(), "reads back off"),
    (Thin, frozenset(), "are read back; it is what memory is reported from"),
    (Boundless, frozenset(), "should be within limits.kv_cache_memory_bytes"),
    (Wasteful, frozenset(), "should keep within the memory that is given"),
    (Shut, frozenset(), "should let a sequence of 64 tokens in"),
    (Narrow, frozenset(), "should give keys of shape"),
    (Viewing, frozenset(), "export() must copy"),
    (Generous, frozenset(), "at least the last one must be left"),
    (Window, frozenset(), "must say drops=frozenset({'rollback'})"),
    (SlotStore, frozenset({"shared_blocks"}), "leave it out of Requirements.drops"),
    (lambda model, limits: object(), frozenset(), "derive it from KVStore"),
)


class LosingScheduler(QueueScheduler):
    """Loses every fifth request."""

    def add(self, seq: Seq) -> None:
        if seq.id % 5 != 4:
            super().add(seq)


class OverfullScheduler(QueueScheduler):
    """Puts more tokens into a step than it may."""

    def __init__(self, cache: KVStore, limits: Limits) -> None:
        super().__init__(cache, replace(limits, max_num_batched_tokens=1 << 20))
