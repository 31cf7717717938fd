"""A KV store that keeps the first few and the newest tokens of each sequence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from ablate.engines.local.batch import Batch, Group
from ablate.engines.local.memory import Memory
from ablate.engines.local.staged import StagedStore, Stay
from ablate.types import Limits


class WindowStore(StagedStore):
    """A slot is a ring behind the sinks: token p lies in entry p if it is one, else in the entry
    ``sinks + (p - sinks) % window``, where the token ``window`` before it lay.

    Each token sees its own window, even of tokens that are still there: what it sees must not
    depend on how a prompt is cut up, or on drafts that were taken back.
    """

    def __init__(self, model: Any, limits: Limits, sinks: int, window: int) -> None:
        super().__init__(model, limits)
        self._sinks, self._window = sinks, window
        shape = self.shape
        self._keys, self._values = (Memory(shape, shape.head_dim, shape.dtype) for _ in range(2))

    @property
    def memories(self) -> Sequence[Memory]:
        return (self._keys, self._values)

    @property
    def bytes_per_token(self) -> float:
        return self.shape.full_bytes_per_token

    def holds(self, length: int) -> int:
        return min(length, self._sinks + self._window)

    def entries(self, length: int) -> Sequence[int]:
        return [self.holds(length)] * 2

    def positions(self, group: Group) -> Tensor:
        """``[R, q, entries + q]``: what the rings held before the step, then the new tokens."""
        new = group.queries
        entries = torch.cat([self._held(new[:, :1], self._entries(group)), new], dim=1)[:, None]
        seen = (entries < self._sinks) | (entries > new[:, :, None] - self._window)
        return torch.where(seen, entries, -1)

    def _entries(self, group: Group) -> int:
        """Entries that a row of the group had before the step, at most."""
        return self.holds(max(span.start for span in group.spans))

    def _held(self, length: Tensor, entries: int) -> Tensor:
        """The token in each of the first entries of rings that were given ``length`` tokens,
        ``[R, entries]``; negative where there is none.
        """
        entry = torch.arange(entries, device=length.device)
        newest = length - 1
        # as many turns of the ring back as lead from the newest token to the entry
        behind = newest - (newest - entry) % self._window
        behind = torch.where(behind >= self._sinks, behind, -1)
        return torch.where(entry < self._sinks, torch.where(entry < length, entry, -1), behind)

    def read(self, layer: int, group: Group) -> tuple[Tensor, Tensor]:
        entries, new = self._entries(group), self.new(layer, group)
        keys, values = (
            torch.cat([self.rows(memory, layer, group)[:, :, :entries], part], dim=2)
            for memory, part in zip(self.memories, new, strict=True)
        )
        return keys, values

    def keep(self, batch: Batch, stays: Sequence[Stay], staged: Tensor) -> None:
        slots, entries, places = [], [], []
        for stay in stays:
            for position in self._survivors(stay):
                slots.append(stay.slot)
                entries.append(self._entry(position))
                places.append(stay.first + position - stay.start)
        where, new = (self.tensor(slots), self.tensor(entries)), staged[:, :, self.tensor(places)]
        for memory, part in zip(self.memories, new, strict=True):
            memory.write(*where, part)

    def _survivors(self, stay: Stay) -> Iterator[int]:
        """New tokens that no later one of them overwrites."""
        yield from range(stay.start, min(stay.end, self._sinks))
        yield from range(max(stay.start, self._sinks, stay.end - self._window), stay.end)

    def _entry(self, position: int) -> int:
        turned = self._sinks + (position - self._sinks) % self._window
        return position if position < self._sinks else turned
