"""KV stores that say where their entries belong and how many they hold: one rightly, others not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from ablate.engines.local.batch import Group
from ablate.engines.local.slots import SlotStore
from ablate.types import Limits


class Reordered(SlotStore):
    """Gives entries in another order, and hides a copy of each: as good as the standard."""

    def positions(self, group: Group) -> Tensor | None:
        every = torch.arange(group.length, device=group.device).flip(0).repeat(group.rows, 1, 1)
        return torch.cat([every, torch.full_like(every, -1)], dim=2)

    def read(self, layer: int, group: Group) -> tuple[Tensor, Tensor]:
        keys, values = (part.flip(2) for part in super().read(layer, group))
        return torch.cat([keys, keys], dim=2), torch.cat([values, values], dim=2)


class Misplaced(Reordered):
    """Says that its entries are where they are not."""

    def positions(self, group: Group) -> Tensor | None:
        every = torch.arange(group.length, device=group.device).repeat(group.rows, 1, 1)
        return torch.cat([every, torch.full_like(every, -1)], dim=2)


class Blind(Reordered):
    """Hides each new token from itself."""

    def positions(self, group: Group) -> Tensor | None:
        every = (
            torch.arange(group.length, device=group.device).flip(0).repeat(group.rows, group.q, 1)
        )
        every = torch.where(every == group.queries[:, :, None], -1, every)
        return torch.cat([every, torch.full_like(every, -1)], dim=2)


class Flat(Reordered):
    """Leaves the queries out."""

    def positions(self, group: Group) -> Tensor | None:
        view = super().positions(group)
        return None if view is None else view[:, 0]


class Greedy(SlotStore):
    """Says that it keeps less than it holds."""

    def holds(self, length: int) -> int:
        return (length + 1) // 2


class Hoarding(SlotStore):
    """Says that it keeps more than there is."""

    def holds(self, length: int) -> int:
        return length + 1


PLACING: Sequence[tuple[Callable[[Any, Limits], Any], frozenset[str], str]] = (
    (Misplaced, frozenset(), "are keys and values, heads or rows mixed up"),
    (Blind, frozenset(), "should let every new token see itself, once"),
    (Flat, frozenset(), "positions() should give whole numbers of shape"),
    (Greedy, frozenset(), "of those committed are to be held"),
    (Hoarding, frozenset(), "holds() should give at least 1 and at most the length"),
)
