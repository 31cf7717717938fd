"""The standard KV store: one slot of contiguous memory per admitted sequence.

A decode step reads plain slices of it. When a step needs more memory, it grows by a few slots and
positions: every step reads all of it, so that a copy now and then costs little. What is stored is a
codec's business: full precision here, quantized in plugins.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ablate.engines.local.batch import Batch, Group
from ablate.engines.local.interfaces import Block, Seq
from ablate.engines.local.packing import is_onednns
from ablate.engines.local.slotkeeping import SlotKeeper
from ablate.types import Limits

SLOTS, POSITIONS = 4, 64  # by which memory grows


@dataclass(frozen=True)
class CacheShape:
    """The part of a model that its KV cache depends on."""

    layers: int
    kv_heads: int
    head_dim: int
    dtype: torch.dtype
    device: torch.device

    @property
    def vectors(self) -> int:
        """Keys (and as many values) that one token has over all layers and heads."""
        return self.layers * self.kv_heads

    @property
    def full_bytes_per_token(self) -> int:
        """Bytes of a token's keys and values as the model computes them."""
        return 2 * self.vectors * self.head_dim * self.dtype.itemsize

    @classmethod
    def of(cls, model: Any) -> CacheShape:
        config = model.config.get_text_config()
        heads = config.num_attention_heads
        return cls(
            layers=config.num_hidden_layers,
            kv_heads=getattr(config, "num_key_value_heads", None) or heads,
            head_dim=getattr(config, "head_dim", None) or config.hidden_size // heads,
            dtype=model.dtype,
            device=model.device,
        )


class Codec(ABC):
    """How one key or value vector is stored: as one or more planes of memory."""

    @abstractmethod
    def planes(self, shape: CacheShape) -> tuple[tuple[int, torch.dtype], ...]:
        """Width and dtype of each plane, for one head of one token."""

    @abstractmethod
    def encode(self, x: Tensor) -> tuple[Tensor, ...]:
        """Vectors ``[..., D]`` as planes ``[..., width]``."""

    @abstractmethod
    def decode(self, planes: tuple[Tensor, ...], dtype: torch.dtype) -> Tensor:
        """The vectors back, ``[..., D]``."""


class Plain(Codec):
    """Stored as computed."""

    def planes(self, shape: CacheShape) -> tuple[tuple[int, torch.dtype], ...]:
        return ((shape.head_dim, shape.dtype),)

    def encode(self, x: Tensor) -> tuple[Tensor, ...]:
        return (x,)

    def decode(self, planes: tuple[Tensor, ...], dtype: torch.dtype) -> Tensor:
        return planes[0]


class SlotStore(SlotKeeper):
    """Slots of contiguous memory: each plane is ``[layers, slots, G, positions, width]``."""

    def __init__(self, model: Any, limits: Limits, codec: Codec | None = None) -> None:
        super().__init__()
        self.shape = CacheShape.of(model)
        self.codec = codec or Plain()
        self._limits = limits
        widths = self.codec.planes(self.shape)
        per_head = sum(w * d.itemsize for w, d in widths)
        self._bytes_per_token = 2 * self.shape.vectors * per_head
        self._keys = [self._empty(0, 0, w, d) for w, d in widths]
        self._values = [self._empty(0, 0, w, d) for w, d in widths]
        nowhere = torch.empty(0, dtype=torch.long, device=self.shape.device)
        self._where = (nowhere, nowhere)  # slot and position of each packed token of the step
        self._rows: list[slice | Tensor] = []

    def _empty(self, slots: int, positions: int, width: int, dtype: torch.dtype) -> Tensor:
        shape = self.shape
        # zeros, since what lies beyond a row's length is masked but must be finite
        size = (shape.layers, slots, shape.kv_heads, positions, width)
        return torch.zeros(size, dtype=dtype, device=shape.device)

    @property
    def capacity_tokens(self) -> int:
        return int(self._limits.kv_cache_memory_bytes // self._bytes_per_token)

    @property
    def tokens(self) -> int:
        return sum(self._length.values())

    @property
    def bytes_per_token(self) -> float:
        return self._bytes_per_token

    @property
    def allocated_bytes(self) -> int:
        return sum(p.numel() * p.element_size() for p in (*self._keys, *self._values))

    def free(self, seq_id: int) -> None:
        super().free(seq_id)
        self._give_back()

    def move(self, source: int, target: int) -> None:
        held = self._length[self._owner[target]]
        if held:  # a sequence that never ran may have no memory yet
            for plane in (*self._keys, *self._values):
                plane[:, target, :, :held] = plane[:, source, :, :held]

    def begin(self, batch: Batch) -> None:
        self._reserve(len(self._owner), max(g.length for g in batch.groups))
        slots = [self._slot_of[s.seq_id] for s in batch.spans for _ in s.tokens]
        where = torch.tensor(slots, dtype=torch.long, device=self.shape.device)
        self._where = (where, batch.positions[0])
        self._rows = [self._rows_of(g) for g in batch.groups]

    def append(self, layer: int, key: Tensor, value: Tensor) -> None:
        slots, positions = self._where
        for planes, new in ((self._keys, key), (self._values, value)):
            for plane, part in zip(planes, self.codec.encode(new), strict=True):
                plane[layer][slots, :, positions] = part

    def positions(self, group: Group) -> Tensor | None:
        width = self._width(group)
        if width == group.length:
            return None
        return torch.arange(width, device=self.shape.device).view(1, 1, -1)

    def _width(self, group: Group) -> int:
        """How many positions ``read`` gives.

        Products of bfloat16 on a CPU are compiled for every new shape, and copy what is not dense:
        both cost more than a few keys more, up to the next multiple, or to all there are.
        """
        have, need, shape = self._keys[0].shape[3], group.length, self.shape
        if not is_onednns(shape.dtype, shape.device):
            return need
        return min(have, -(-need // POSITIONS) * POSITIONS)

    def read(self, layer: int, group: Group) -> tuple[Tensor, Tensor]:
        rows, length = self._rows[group.index], self._width(group)
        keys = tuple(p[layer][rows, :, :length] for p in self._keys)
        values = tuple(p[layer][rows, :, :length] for p in self._values)
        dtype = self.shape.dtype
        return self.codec.decode(keys, dtype), self.codec.decode(values, dtype)

    def commit(self, seq: Seq, length: int) -> None:
        self._length[seq.id] = length

    def export(self, seq_id: int, start: int, end: int) -> Block:
        slot = self._slot_of[seq_id]
        return tuple(p[:, slot, :, start:end].clone() for p in (*self._keys, *self._values))

    def adopt(self, seq_id: int, start: int, block: Block) -> None:
        end = start + block[0].shape[2]
        self._reserve(len(self._owner), end)
        slot = self._slot_of[seq_id]
        for plane, part in zip((*self._keys, *self._values), block, strict=True):
            plane[:, slot, :, start:end] = part
        self._length[seq_id] = end

    def fits(self, lengths: Sequence[int]) -> bool:
        """Every slot is as long as the longest."""
        longest = max(map(self.holds, lengths), default=0)
        return len(lengths) * longest <= self.room_tokens

    def _reserve(self, slots: int, positions: int) -> None:
        have_slots, have_positions = self._keys[0].shape[1], self._keys[0].shape[3]
        if slots <= have_slots and positions <= have_positions:
            return
        # a sequence that this step leaves out may be longer than all it has
        self._resize(*self._grown(slots, max([positions, *self._length.values()])))

    def _give_back(self) -> None:
        """Where memory is short, what is twice too much can serve others: cached prefixes."""
        have = self._keys[0].shape[1] * self._keys[0].shape[3]
        slots, positions = len(self._owner), max(self._length.values(), default=0)
        if have > self.room_tokens // 2 and slots * positions <= have // 2:
            self._resize(slots, positions)

    def _resize(self, slots: int, positions: int) -> None:
        for planes in (self._keys, self._values):
            for i, old in enumerate(planes):  # one by one: old and new are held together
                planes[i] = self._resized(old, slots, positions)

    def _grown(self, slots: int, positions: int) -> tuple[int, int]:
        """Some more than needed, to spare copies; near the end of the room, less."""
        limits, room = self._limits, self.room_tokens
        longest = limits.max_model_len + limits.num_lookahead_tokens
        have_slots, have_positions = self._keys[0].shape[1], self._keys[0].shape[3]
        more_slots = more(have_slots, slots, SLOTS, limits.max_num_seqs)
        more_positions = more(have_positions, positions, POSITIONS, longest)
        if more_slots * more_positions <= room // 2:
            return more_slots, more_positions
        more_slots = min(more_slots, slots + slots // 8)
        if more_slots * positions > room:
            more_slots = slots
        return more_slots, max(positions, min(positions + POSITIONS, longest, room // more_slots))

    def _resized(self, old: Tensor, slots: int, positions: int) -> Tensor:
        new = self._empty(slots, positions, old.shape[4], old.dtype)
        slots, positions = min(slots, old.shape[1]), min(positions, old.shape[3])
        new[:, :slots, :, :positions] = old[:, :slots, :, :positions]
        return new


def more(have: int, need: int, step: int, most: int) -> int:
    """``have`` where that is enough; else ``need`` up to a multiple, but not beyond ``most``."""
    return have if need <= have else max(need, min(-(-need // step) * step, most))
