"""Who sits in which slot of a KV store's memory."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor

from ablate.engines.local.batch import Group
from ablate.engines.local.interfaces import KVStore, Seq


class SlotKeeper(KVStore):
    """Running sequences always fill the first slots: the last moves into a hole.

    So the rows of a decode step, in the order of their slots, are a plain slice.
    """

    def __init__(self) -> None:
        self._slot_of: dict[int, int] = {}
        self._owner: list[int] = []
        self._length: dict[int, int] = {}

    @abstractmethod
    def move(self, source: int, target: int) -> None:
        """Copy what a slot holds to another, which is its owner's from now on."""

    def add(self, seq: Seq) -> int:
        self._slot_of[seq.id] = len(self._owner)
        self._owner.append(seq.id)
        self._length[seq.id] = 0
        return 0

    def free(self, seq_id: int) -> None:
        hole = self._slot_of.pop(seq_id)
        del self._length[seq_id]
        mover = self._owner.pop()
        last = len(self._owner)
        if hole == last:
            return
        self._owner[hole] = mover
        self._slot_of[mover] = hole
        self.move(last, hole)

    def length(self, seq_id: int) -> int:
        return self._length[seq_id]

    def order(self, seq_id: int) -> int:
        return self._slot_of[seq_id]

    def _rows_of(self, group: Group) -> slice | Tensor:
        slots = [self._slot_of[span.seq_id] for span in group.spans]
        if slots == list(range(slots[0], slots[0] + len(slots))):
            return slice(slots[0], slots[0] + len(slots))
        return torch.tensor(slots, dtype=torch.long, device=group.device)
