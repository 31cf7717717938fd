"""The base of KV stores that keep something else than every token as it was computed."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ablate.engines.local.batch import Batch, Group
from ablate.engines.local.interfaces import Seq
from ablate.engines.local.memory import Memory
from ablate.engines.local.slotted import SlottedStore
from ablate.types import Limits


@dataclass(frozen=True)
class Stay:
    """Tokens ``[start, end)`` of a sequence that a step wrote and that stay.

    ``first``: place of the first of them among the step's packed tokens.
    """

    slot: int
    start: int
    end: int
    first: int


class StagedStore(SlottedStore):
    """Keeps a step's keys and values aside until ``commit`` has said how many of them stay.

    So nothing that an earlier token of the step still has to see is overwritten, and what is rolled
    back was never written. A derived store says what it does with the tokens that stay. Of these,
    the newest ``lookahead`` may still be taken back, so what they replace has to be there as long.

    A step's own keys and values are gone when it ends; ``allocated_bytes`` leaves them out, as all
    else that a forward pass computes.
    """

    def __init__(self, model: Any, limits: Limits) -> None:
        super().__init__(model, limits)
        self._batch: Batch | None = None
        self._written: dict[int, int] = {}  # the lengths of those that are not committed yet
        self._longest: dict[int, int] = {}  # that was ever committed
        self._staged = torch.empty(0, dtype=self.shape.dtype)
        self._counts = {"kv_written_tokens": 0, "kv_evicted_tokens": 0}
        self._rows: list[slice | Tensor] = []

    @abstractmethod
    def keep(self, batch: Batch, stays: Sequence[Stay], staged: Tensor) -> None:
        """Take what stays of a step out of ``staged``, keys and values ``[2, layers, N, G, D]``."""

    @property
    def counters(self) -> Mapping[str, float]:
        return {name: float(count) for name, count in self._counts.items()}

    def add(self, seq: Seq) -> int:
        self._longest[seq.id] = 0
        return super().add(seq)

    def free(self, seq_id: int) -> None:
        self._settle()
        super().free(seq_id)
        del self._longest[seq_id]

    def begin(self, batch: Batch) -> None:
        self._settle()
        for span in batch.spans:
            self._shorten(span.seq_id, span.start)
        self._written = {span.seq_id: span.start + len(span.tokens) for span in batch.spans}
        self._batch = batch
        shape, size = self.shape, sum(len(span.tokens) for span in batch.spans)
        # zeros, since some step may leave layers out, and what is read has to be finite
        self._staged = torch.zeros(
            (2, shape.layers, size, shape.kv_heads, shape.head_dim),
            dtype=shape.dtype,
            device=shape.device,
        )
        self._rows = [self._rows_of(group) for group in batch.groups]
        self.reserve(batch.longest)

    def append(self, layer: int, key: Tensor, value: Tensor) -> None:
        self._staged[0, layer] = key
        self._staged[1, layer] = value

    def commit(self, seq: Seq, length: int) -> None:
        written = self._written.pop(seq.id, self._length[seq.id])
        if self._length[seq.id] <= length <= written:
            self._length[seq.id] = length
        else:
            self._shorten(seq.id, length)
        if not self._written:
            self._settle()

    def _shorten(self, seq_id: int, length: int) -> None:
        """Take committed tokens back. Raises RuntimeError where they are gone or never were."""
        held, least = self._length[seq_id], self._longest[seq_id] - self.lookahead
        if not least <= length <= held:
            raise RuntimeError(
                f"{type(self).__name__} holds {held} tokens of sequence {seq_id} and can go back "
                f"to {max(least, 0)}, not to {length}"
            )
        self._length[seq_id] = length

    def _settle(self) -> None:
        """End the step: what was committed is kept, the rest forgotten."""
        batch, self._batch = self._batch, None
        if batch is None:
            return
        staged, self._staged = self._staged, self._staged.new_empty(0)
        stays, first = [], 0
        for span in batch.spans:
            end = self._length[span.seq_id]
            self._longest[span.seq_id] = max(self._longest[span.seq_id], end)
            if end > span.start:
                stays.append(Stay(self._slot_of[span.seq_id], span.start, end, first))
            first += len(span.tokens)
        if stays:
            self._count(stays)
            self.keep(batch, stays, staged)

    def _count(self, stays: Sequence[Stay]) -> None:
        written = sum(stay.end - stay.start for stay in stays)
        held = sum(self.holds(stay.end) - self.holds(stay.start) for stay in stays)
        self._counts["kv_written_tokens"] += written
        self._counts["kv_evicted_tokens"] += written - held

    # what derived stores need

    def rows(self, memory: Memory, layer: int, group: Group) -> Tensor:
        """A group's rows of one layer, ``[R, G, entries, width]``; mostly a view."""
        return memory.data[layer][self._rows[group.index]]

    def new(self, layer: int, group: Group) -> Tensor:
        """A group's new keys and values, ``[2, R, G, q, D]``."""
        mine = self._staged[:, layer, group.offset : group.offset + group.rows * group.q]
        return mine.view(2, group.rows, group.q, *mine.shape[2:]).transpose(2, 3)

    def tensor(self, numbers: Iterable[int]) -> Tensor:
        return torch.tensor(list(numbers), dtype=torch.long, device=self.shape.device)
