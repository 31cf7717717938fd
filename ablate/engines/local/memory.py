"""Memory that can be made larger: one slot for each admitted sequence, entries in it."""

from __future__ import annotations

import torch
from torch import Tensor

from ablate.engines.local.slots import CacheShape


class Memory:
    """A tensor ``[layers, slots, G, entries, width]``. What was never written is zero."""

    def __init__(self, shape: CacheShape, width: int, dtype: torch.dtype) -> None:
        self.entry_bytes = shape.vectors * width * dtype.itemsize  # of a slot, over all layers
        size = (shape.layers, 0, shape.kv_heads, 0, width)
        self.data = torch.zeros(size, dtype=dtype, device=shape.device)

    @property
    def bytes(self) -> int:
        return self.data.numel() * self.data.element_size()

    def resize(self, slots: int, entries: int) -> None:
        """Have so many slots and entries; what lies within both sizes stays."""
        old = self.data
        layers, have_slots, heads, have_entries, width = old.shape
        if (slots, entries) == (have_slots, have_entries):
            return
        self.data = old.new_zeros((layers, slots, heads, entries, width))
        slots, entries = min(slots, have_slots), min(entries, have_entries)
        self.data[:, :slots, :, :entries] = old[:, :slots, :, :entries]

    def move(self, source: int, target: int) -> None:
        """Copy a slot over another. A source that has no memory yet was never written."""
        if source < self.data.shape[1]:
            self.data[:, target] = self.data[:, source]
        else:
            self.clear(target)

    def clear(self, slot: int) -> None:
        """Make a slot zero."""
        if slot < self.data.shape[1]:
            self.data[:, slot] = 0

    def write(self, slots: Tensor, entries: Tensor, new: Tensor) -> None:
        """Put ``new``, ``[layers, n, G, width]``, into n entries of n slots."""
        self.data[:, slots, :, entries] = new.transpose(0, 1)
