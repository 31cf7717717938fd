"""Memory that grows: one slot for each admitted sequence, and in it entries of some width."""

from __future__ import annotations

import torch
from torch import Tensor

from ablate.engines.local.slots import CacheShape


class Memory:
    """A tensor ``[layers, slots, G, entries, width]`` that is made larger when a step needs more.

    ``most``: slots and entries up to which it doubles; beyond them it grows by what is needed.
    What was never written is zero.
    """

    def __init__(
        self, shape: CacheShape, width: int, dtype: torch.dtype, most: tuple[int, int]
    ) -> None:
        self._most = most
        size = (shape.layers, 0, shape.kv_heads, 0, width)
        self.data = torch.zeros(size, dtype=dtype, device=shape.device)

    @property
    def bytes(self) -> int:
        return self.data.numel() * self.data.element_size()

    def reserve(self, slots: int, entries: int) -> None:
        """Have room for ``slots`` of ``entries`` each."""
        old = self.data
        have = (old.shape[1], old.shape[3])
        if slots <= have[0] and entries <= have[1]:
            return
        wanted = zip(have, (slots, entries), self._most, strict=True)
        more_slots, more_entries = (_grown(*sizes) for sizes in wanted)
        size = (old.shape[0], more_slots, old.shape[2], more_entries, old.shape[4])
        self.data = old.new_zeros(size)
        self.data[:, : have[0], :, : have[1]] = old

    def move(self, source: int, target: int) -> None:
        """Copy a slot over another. A source that has no memory yet was never written."""
        slots = self.data.shape[1]
        if source < slots:
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


def _grown(have: int, need: int, most: int) -> int:
    return have if need <= have else max(need, min(max(2 * have, 16), most))
