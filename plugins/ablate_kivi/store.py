"""A KV store that holds old tokens in a few bits and the newest as they were computed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ablate.engines.local.batch import Batch, Group
from ablate.engines.local.memory import Memory
from ablate.engines.local.staged import StagedStore, Stay
from ablate.types import Limits
from ablate_kivi.form import Form


@dataclass(frozen=True)
class Due:
    """Tokens that a step quantizes, whole groups of them, and where each comes from.

    ``old`` numbers those that lie in the rings, ``new`` those that the step itself brings, which
    are its packed tokens ``places``.
    """

    slots: Tensor
    positions: Tensor
    old: Tensor
    new: Tensor
    places: Tensor


class KiviStore(StagedStore):
    """Token p sees the first ``quantized(p)`` tokens in a few bits and the others as they are.

    That depends on p alone. So what it sees is the same however a prompt is cut up, whatever was
    drafted and taken back, and when it is computed again after a preemption. Tokens that some of a
    step's tokens see one way and some the other are there twice.
    """

    def __init__(self, model: Any, limits: Limits, form: Form, residual: int) -> None:
        super().__init__(model, limits)
        shape = self.shape
        self._form, self._residual = form, residual
        self._rings = tuple(Memory(shape, shape.head_dim, shape.dtype) for _ in range(2))
        self._planes = tuple(Memory(shape, *width) for width in form.widths(shape))
        self._due: Due | None = None
        self._counts["kv_quantized_tokens"] = 0

    def quantized(self, position: int) -> int:
        """How many of the tokens before ``position`` the token there sees in a few bits.

        The ``residual`` newest tokens, itself included, it sees as they are, and what is left of
        their group.
        """
        return max(position + 1 - self._residual, 0) // self._form.group * self._form.group

    @property
    def memories(self) -> Sequence[Memory]:
        return (*self._rings, *self._planes)

    @property
    def bytes_per_token(self) -> float:
        """Of a token that is quantized."""
        return self._form.group_bytes(self.shape) / self._form.group

    @property
    def used_bytes(self) -> int:
        return sum(map(self._bytes, self._length.values()))

    def _bytes(self, length: int) -> int:
        quantized = self.quantized(length)
        groups = quantized // self._form.group
        whole = (length - quantized) * self.shape.full_bytes_per_token
        return groups * self._form.group_bytes(self.shape) + whole

    @property
    def _ring(self) -> int:
        """The most tokens that are whole, and those that are again when others are taken back."""
        return self._residual + self._form.group + self.lookahead

    def entries(self, length: int) -> Sequence[int]:
        ring, codes = min(length, self._ring), self.quantized(length)
        return (ring, ring, codes, codes // self._form.group, codes, codes)

    def begin(self, batch: Batch) -> None:
        super().begin(batch)
        self._due = self._find_due(batch)

    def _find_due(self, batch: Batch) -> Due | None:
        slots: list[int] = []
        positions: list[int] = []
        old: list[int] = []
        new: list[int] = []
        places: list[int] = []
        first = 0
        for span in batch.spans:
            end = span.start + len(span.tokens)
            for position in range(self.quantized(span.start), self.quantized(end)):
                if position < span.start:
                    old.append(len(slots))
                else:
                    new.append(len(slots))
                    places.append(first + position - span.start)
                slots.append(self._slot_of[span.seq_id])
                positions.append(position)
            first += len(span.tokens)
        if not slots:
            return None
        return Due(*map(self.tensor, (slots, positions, old, new, places)))

    def append(self, layer: int, key: Tensor, value: Tensor) -> None:
        super().append(layer, key, value)
        if self._due is not None:
            self._quantize(layer, self._due)

    def _quantize(self, layer: int, due: Due) -> None:
        # into memory beyond what is committed: when the step is taken back, it is written again
        keys, values = (self._whole(layer, due, i) for i in range(2))
        group = self._form.group
        per_token = (due.slots, due.positions)
        per_group = (due.slots[::group], due.positions[::group] // group)
        where = (per_token, per_group, per_token, per_token)
        parts = (*self._form.keys(keys), *self._form.values(values))
        for memory, (slots, entries), part in zip(self._planes, where, parts, strict=True):
            memory.data[layer][slots, :, entries] = part

    def _whole(self, layer: int, due: Due, which: int) -> Tensor:
        """Keys (0) or values (1) that are due, ``[T, G, D]``, as they were computed."""
        shape = self.shape
        x = self._staged.new_empty(len(due.slots), shape.kv_heads, shape.head_dim)
        entries = due.positions[due.old] % self._ring
        x[due.old] = self._rings[which].data[layer][due.slots[due.old], :, entries]
        x[due.new] = self._staged[which, layer, due.places]
        return x

    def positions(self, group: Group) -> Tensor:
        """``[R, q, quantized + entries + q]``: in a few bits, whole in the rings, whole and new."""
        here = group.queries[:, :, None]
        seen = (here + 1 - self._residual).clamp_min(0) // self._form.group * self._form.group
        few = torch.arange(self.quantized(group.length - 1), device=here.device)
        entry = torch.arange(self._entries(group), device=here.device)
        newest = here[:, :1] - 1
        held = newest - (newest - entry) % self._ring
        whole = torch.cat([held, group.queries[:, None]], dim=2)
        return torch.cat(
            [torch.where(few < seen, few, -1), torch.where(whole >= seen, whole, -1)], dim=2
        )

    def _entries(self, group: Group) -> int:
        """Entries of the rings that a row of the group had before the step, at most."""
        return min(max(span.start for span in group.spans), self._ring)

    def read(self, layer: int, group: Group) -> tuple[Tensor, Tensor]:
        n, entries = self.quantized(group.length - 1), self._entries(group)
        size = (2, group.rows, self.shape.kv_heads, n + entries + group.q, self.shape.head_dim)
        out = self._staged.new_empty(size)
        if n:
            codes, steps, value_codes, value_steps = self._few(layer, group, n)
            self._form.keys_back(codes, steps, out[0, :, :, :n])
            self._form.values_back(value_codes, value_steps, out[1, :, :, :n])
        for ring, part in zip(self._rings, out, strict=True):
            part[:, :, n : n + entries] = self.rows(ring, layer, group)[:, :, :entries]
        out[:, :, :, n + entries :] = self.new(layer, group)
        keys, values = out
        return keys, values

    def _few(self, layer: int, group: Group, n: int) -> list[Tensor]:
        """The planes of a group's first ``n`` tokens."""
        planes = (self.rows(plane, layer, group) for plane in self._planes)
        sizes = (n, n // self._form.group, n, n)
        return [plane[:, :, :size] for plane, size in zip(planes, sizes, strict=True)]

    def keep(self, batch: Batch, stays: Sequence[Stay], staged: Tensor) -> None:
        slots, entries, places = [], [], []
        for stay in stays:
            before, now = self.quantized(stay.start), self.quantized(stay.end)
            self._counts["kv_quantized_tokens"] += now - before
            least = self.quantized(stay.end - self.lookahead)
            for position in range(max(stay.start, least), stay.end):
                slots.append(stay.slot)
                entries.append(position % self._ring)
                places.append(stay.first + position - stay.start)
        where, new = (self.tensor(slots), self.tensor(entries)), staged[:, :, self.tensor(places)]
        for ring, part in zip(self._rings, new, strict=True):
            ring.write(*where, part)
