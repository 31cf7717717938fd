"""A KV store that keeps what attention looked at most, and the newest tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ablate.engines.local.batch import Batch, Group
from ablate.engines.local.interfaces import Seq
from ablate.engines.local.memory import Memory
from ablate.engines.local.staged import StagedStore, Stay
from ablate.types import Limits

EXTRA = 4 + 4  # bytes of an entry's place and score


class HeavyHitterStore(StagedStore):
    """Each layer and head has ``budget`` entries: a key, a value, the token's place in the
    sequence counted from 1 (0: empty), and the sum of the attention that it got.

    A step's tokens see each other and what was held before it; then each head keeps the ``recent``
    newest tokens and of the others those with the largest sums. The filled entries come first.
    """

    def __init__(self, model: Any, limits: Limits, budget: int, recent: int) -> None:
        super().__init__(model, limits)
        self._budget, self._recent = budget, recent
        shape = self.shape
        self._keys, self._values = (Memory(shape, shape.head_dim, shape.dtype) for _ in range(2))
        self._places = Memory(shape, 1, torch.int32)
        self._scores = Memory(shape, 1, torch.float32)
        self._attention: dict[tuple[int, int], Tensor] = {}  # by layer and group, [R, G, L]

    @property
    def memories(self) -> Sequence[Memory]:
        return (self._keys, self._values, self._places, self._scores)

    @property
    def bytes_per_token(self) -> float:
        return self.shape.full_bytes_per_token + EXTRA * self.shape.vectors

    def holds(self, length: int) -> int:
        return min(length, self._budget)

    def entries(self, length: int) -> Sequence[int]:
        return [self.holds(length)] * 4

    def add(self, seq: Seq) -> int:
        held = super().add(seq)
        self._places.clear(self._slot_of[seq.id])
        return held

    def _entries(self, group: Group) -> int:
        """Entries that a row of the group had filled before the step, at most."""
        return self.holds(max(span.start for span in group.spans))

    def layer_positions(self, layer: int, group: Group) -> Tensor:
        held = self.rows(self._places, layer, group)[:, :, : self._entries(group), 0].long() - 1
        new = group.queries[:, None].expand(-1, held.shape[1], -1)
        return torch.cat([held, new], dim=2)[:, :, None]

    def read(self, layer: int, group: Group) -> tuple[Tensor, Tensor]:
        entries, new = self._entries(group), self.new(layer, group)
        keys, values = (
            torch.cat([self.rows(memory, layer, group)[:, :, :entries], part], dim=2)
            for memory, part in zip((self._keys, self._values), new, strict=True)
        )
        return keys, values

    @property
    def observes(self) -> bool:
        return True

    def observe(self, layer: int, group: Group, weights: Tensor) -> None:
        self._attention[layer, group.index] = weights.sum(2)

    def keep(self, batch: Batch, stays: Sequence[Stay], staged: Tensor) -> None:
        written = sum(len(span.tokens) for span in batch.spans)
        if sum(stay.end - stay.start for stay in stays) != written:
            raise RuntimeError("what h2o has evicted for a step's tokens cannot be brought back")
        for group in batch.groups:
            self._take(group, staged)
        self._attention.clear()

    def _take(self, group: Group, staged: Tensor) -> None:
        """Put a group's tokens in, for all layers and heads at once."""
        mine = staged[:, :, group.offset : group.offset + group.rows * group.q]
        keys, values = mine.view(*mine.shape[:2], group.rows, group.q, *mine.shape[3:]).transpose(
            3, 4
        )
        layers = range(self.shape.layers)
        attention = torch.stack([self._attention[layer, group.index] for layer in layers])
        places = (group.queries + 1).int()[None, :, None].expand(*attention.shape[:3], -1)
        entries = self._entries(group)
        slots = self.tensor(self._slot_of[span.seq_id] for span in group.spans)
        self._scores.data[:, slots, :, :entries, 0] += attention[..., :entries]
        new = (keys, values, places[..., None], attention[..., entries:, None])
        if group.q == 1:
            self._replace(slots, entries, new)
        else:
            self._select(slots, entries, new)

    def _replace(self, slots: Tensor, entries: int, new: Sequence[Tensor]) -> None:
        """One token a row: into the next entry, or the one of the token that is least important."""
        newest = new[2][..., 0]
        entry = newest[..., 0].long() - 1
        if entries == self._budget:
            places, scores = (m.data[:, slots, ..., 0] for m in (self._places, self._scores))
            least = self._importance(places, scores, newest).argmin(-1)
            entry = torch.where(entry < self._budget, entry, least)
        layer = torch.arange(entry.shape[0], device=entry.device)[:, None, None]
        head = torch.arange(entry.shape[2], device=entry.device)
        for memory, part in zip(self.memories, new, strict=True):
            memory.data[layer, slots[:, None], head, entry] = part[..., 0, :]

    def _select(self, slots: Tensor, entries: int, new: Sequence[Tensor]) -> None:
        """Many tokens a row: the most important of all that were held and that are new."""
        every = [
            torch.cat([memory.data[:, slots, :, :entries], part], dim=3)
            for memory, part in zip(self.memories, new, strict=True)
        ]
        places, scores = (part[..., 0] for part in every[2:])
        importance = self._importance(places, scores, places.amax(-1, keepdim=True))
        importance = importance.masked_fill(places == 0, -torch.inf)
        kept = importance.topk(min(self._budget, places.shape[-1]), dim=-1).indices
        order = places.gather(-1, kept)  # of the sequence, empty entries last
        order = order.masked_fill(order == 0, torch.iinfo(order.dtype).max).argsort(-1)
        kept = kept.gather(-1, order)[..., None]
        for memory, part in zip(self.memories, every, strict=True):
            chosen = part.gather(3, kept.expand(*kept.shape[:-1], part.shape[-1]))
            memory.data[:, slots, :, : kept.shape[3]] = chosen

    def _importance(self, places: Tensor, scores: Tensor, newest: Tensor) -> Tensor:
        return scores.masked_fill(places > newest - self._recent, torch.inf)
