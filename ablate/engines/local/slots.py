"""The standard KV store: one slot of contiguous memory per admitted sequence.

A decode step reads plain slices of it. When a step needs more memory, it grows by a few slots and
positions: every step reads all of it, so that a copy now and then costs little. What is stored is a
codec's business: full precision here, quantized in plugins.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from operator import mul
from typing import Any

import torch
from torch import Tensor

from ablate.engines.local.batch import Batch, Group
from ablate.engines.local.growing import grown, up, wasteful
from ablate.engines.local.interfaces import Block, Seq
from ablate.engines.local.packing import is_onednns
from ablate.engines.local.planes import PlaneMemory, Planes
from ablate.engines.local.slotkeeping import SlotKeeper
from ablate.types import Limits

WHOLE = 1.5  # up to so many times what is needed, reading all there is costs less than a copy


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
    """Slots of contiguous memory."""

    def __init__(self, model: Any, limits: Limits, codec: Codec | None = None) -> None:
        super().__init__()
        self.shape = CacheShape.of(model)
        self.codec = codec or Plain()
        self._limits = limits
        self._memory = PlaneMemory(self.shape, self.codec.planes(self.shape))
        self._where: tuple[Any, Any] = (0, 0)  # slots and positions of the step's packed tokens
        self._rows: list[slice | Tensor] = []
        self._reads: list[list[Planes]] = []  # of each group; of none where rows are not together
        onednns = is_onednns(self.shape.dtype, self.shape.device)
        self._reads_dense = onednns and isinstance(self.codec, Plain)

    @property
    def capacity_tokens(self) -> int:
        return int(self._limits.kv_cache_memory_bytes // self._memory.bytes_per_token)

    @property
    def tokens(self) -> int:
        return sum(self._length.values())

    @property
    def bytes_per_token(self) -> float:
        return self._memory.bytes_per_token

    @property
    def allocated_bytes(self) -> int:
        return self._memory.bytes

    def free(self, seq_id: int) -> None:
        super().free(seq_id)
        self._give_back()

    def move(self, source: int, target: int) -> None:
        held = self._length[self._owner[target]]
        if held:  # a sequence that never ran may have no memory yet
            self._memory.move(source, target, held)

    def begin(self, batch: Batch) -> None:
        self._reserve(len(self._owner), batch.longest)
        slots = [self._slot_of[s.seq_id] for s in batch.spans for _ in s.tokens]
        if len(slots) == 1:  # plain numbers are quicker
            self._where = (slots[0], batch.spans[0].start)
        else:
            where = torch.tensor(slots, dtype=torch.long, device=self.shape.device)
            self._where = (where, batch.positions[0])
        self._rows = [self._rows_of(g) for g in batch.groups]
        self._reads = [
            self._memory.views(rows, self._width(group)) if isinstance(rows, slice) else []
            for rows, group in zip(self._rows, batch.groups, strict=True)
        ]

    def append(self, layer: int, key: Tensor, value: Tensor) -> None:
        self._memory.write(layer, *self._where, self.codec.encode(_together(key, value)))

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
        have, need = self._memory.positions, group.length
        if not is_onednns(self.shape.dtype, self.shape.device):
            return need
        most = have if self._reads_dense and have <= WHOLE * need else up(need)
        return min(have, most)

    def read(self, layer: int, group: Group) -> tuple[Tensor, Tensor]:
        views, rows = self._reads[group.index], self._rows[group.index]
        if isinstance(rows, Tensor):
            keys, values = self._memory.copies(layer, rows, self._width(group))
        else:
            keys, values = views[layer]
        dtype = self.shape.dtype
        return self.codec.decode(keys, dtype), self.codec.decode(values, dtype)

    def commit(self, seq: Seq, length: int) -> None:
        self._length[seq.id] = length

    def export(self, seq_id: int, start: int, end: int) -> Block:
        return self._memory.block(self._slot_of[seq_id], start, end)

    def adopt(self, seq_id: int, start: int, block: Block) -> None:
        end = start + block[0].shape[2]
        self._reserve(len(self._owner), end)
        self._memory.put(self._slot_of[seq_id], start, block)
        self._length[seq_id] = end

    def fits(self, lengths: Sequence[int]) -> bool:
        """Every slot is as long as the longest."""
        longest = max(map(self.holds, lengths), default=0)
        return len(lengths) * longest <= self.room_tokens

    def _reserve(self, slots: int, positions: int) -> None:
        have = self._memory.slots, self._memory.positions
        if slots <= have[0] and positions <= have[1]:
            return
        # a sequence that this step leaves out may be longer than all it has
        need = slots, max([positions, *self._length.values()])
        limits = self._limits
        most = limits.max_num_seqs, limits.max_model_len + limits.num_lookahead_tokens
        self._memory.resize(*grown(have, need, most, mul, self.room_tokens))

    def _give_back(self) -> None:
        """Where memory is short, what is twice too much can serve others: cached prefixes.

        And where reads copy what is not dense, positions that nobody uses cost every step.
        """
        have_slots, have_positions = self._memory.slots, self._memory.positions
        have = have_slots * have_positions
        slots, positions = len(self._owner), max(self._length.values(), default=0)
        if have > self.room_tokens // 2 and slots * positions <= have // 2:
            self._memory.resize(slots, positions)
        elif self._reads_dense and wasteful(have_positions, positions):
            self._memory.resize(have_slots if slots else 0, up(positions))


def _together(key: Tensor, value: Tensor) -> Tensor:
    """``[N, 2, G, D]`` of ``[N, G, D]`` each: no copy where they come from one product."""
    n, heads, size = key.shape
    apart = value.storage_offset() - key.storage_offset()
    if (
        apart == heads * size
        and key.stride() == value.stride()
        and key.stride()[1:] == (size, 1)
        and key.untyped_storage().data_ptr() == value.untyped_storage().data_ptr()
    ):
        return key.as_strided((n, 2, heads, size), (key.stride(0), apart, size, 1))
    return torch.stack((key, value), 1)
