"""Packing: the rows of a step laid end to end, grouped by how many tokens they bring."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby

import torch
from torch import Tensor


@dataclass(frozen=True)
class Span:
    """Tokens to compute for one sequence, at positions ``start``, ``start + 1`` …

    ``keep``: of how many of its last tokens the logits are wanted.
    """

    seq_id: int
    tokens: Sequence[int]
    start: int
    keep: int


@dataclass(frozen=True)
class Group:
    """Rows that bring the same number of tokens, so that one attention call serves them.

    They occupy the packed tokens ``[offset, offset + rows * q)``. ``length`` is L.
    """

    index: int
    spans: tuple[Span, ...]
    q: int
    offset: int
    device: torch.device
    _masks: dict[tuple[int, int | None, torch.dtype], Tensor] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        return len(self.spans)

    @cached_property
    def length(self) -> int:  # asked for by every layer
        return max(s.start for s in self.spans) + self.q

    @cached_property
    def queries(self) -> Tensor:
        """Positions of the new tokens, ``[R, q]``."""
        starts = torch.tensor([s.start for s in self.spans], device=self.device)
        return starts[:, None] + torch.arange(self.q, device=self.device)

    @cached_property
    def sees_all(self) -> bool:
        """Whether no entry of any row comes after what the row brings."""
        return self.q == 1 and len({s.start for s in self.spans}) == 1

    def mask(
        self,
        fold: int,
        window: int | None,
        dtype: torch.dtype,
        positions: Tensor | None = None,
    ) -> Tensor:
        """Additive causal mask ``[R, 1, fold * q, L]``: query heads of one KV head are folded in.

        ``positions``: what the step's store says of its entries. Built once a step and shared by
        all layers with the same sliding ``window``.
        """
        key = (fold, window, dtype)
        if key not in self._masks:
            every = torch.arange(self.length, device=self.device)[None, None]
            seen = every if positions is None else positions
            self._masks[key] = self.layer_mask(fold, window, dtype, seen[:, None])
        return self._masks[key]

    def layer_mask(
        self, fold: int, window: int | None, dtype: torch.dtype, positions: Tensor
    ) -> Tensor:
        """The same of entries at ``positions``, ``[R or 1, G or 1, q or 1, L]``, built anew."""
        behind = self.queries[:, None, :, None] - positions
        hidden = (behind < 0) | (positions < 0)
        if window is not None:
            hidden |= behind >= window
        mask = torch.zeros(hidden.shape, dtype=dtype, device=self.device)
        mask.masked_fill_(hidden, float("-inf"))
        return mask.repeat(1, 1, fold, 1)


class Batch:
    """One step's packed input. ``spans`` are in packed order, which is not the order given."""

    def __init__(
        self, spans: Sequence[Span], order: Callable[[int], int], device: torch.device
    ) -> None:
        self.device = device
        self._given = spans
        ranked = sorted(
            range(len(spans)), key=lambda i: (len(spans[i].tokens), order(spans[i].seq_id))
        )
        self._ranked = ranked
        self.spans = tuple(spans[i] for i in ranked)
        self.groups = tuple(self._make_groups())

    def _make_groups(self) -> list[Group]:
        groups: list[Group] = []
        offset = 0
        for q, members in groupby(self.spans, key=lambda s: len(s.tokens)):
            spans = tuple(members)
            groups.append(Group(len(groups), spans, q, offset, self.device))
            offset += q * len(spans)
        return groups

    @cached_property
    def longest(self) -> int:
        """Tokens of the longest row, those of the step included."""
        return max(group.length for group in self.groups)

    @cached_property
    def input_ids(self) -> Tensor:
        """``[1, N]``"""
        return self._tensor([t for s in self.spans for t in s.tokens])[None]

    @cached_property
    def positions(self) -> Tensor:
        """``[1, N]``"""
        places = [p for s in self.spans for p in range(s.start, s.start + len(s.tokens))]
        return self._tensor(places)[None]

    @cached_property
    def logit_rows(self) -> Tensor:
        """Packed places whose logits are wanted, span by span in the order the spans were given."""
        ends: dict[int, int] = {}
        end = 0
        for rank, span in zip(self._ranked, self.spans, strict=True):
            end += len(span.tokens)
            ends[rank] = end
        given = enumerate(self._given)
        return self._tensor([p for i, s in given for p in range(ends[i] - s.keep, ends[i])])

    def _tensor(self, values: list[int]) -> Tensor:
        return torch.tensor(values, dtype=torch.long, device=self.device)
