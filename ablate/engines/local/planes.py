"""The memory of a KV store of slots: planes of every layer, which can be made larger."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from ablate.engines.local.slots import CacheShape

Planes = tuple[tuple[Tensor, ...], tuple[Tensor, ...]]
"""Of keys and of values: ``[slots, G, positions, width]``, as many as a vector is stored in."""

KEPT = 8  # sets of views: steps that follow each other often read the same


class PlaneMemory:
    """Each plane of a layer is ``[2, slots, G, positions, width]``: of keys and of values."""

    def __init__(self, shape: CacheShape, planes: Sequence[tuple[int, torch.dtype]]) -> None:
        """``planes``: width and dtype of each, for one head of one token."""
        self.slots, self.positions = 0, 0
        per_head = sum(width * dtype.itemsize for width, dtype in planes)
        self.bytes_per_token = 2 * shape.vectors * per_head
        self._layers = [[_none_yet(shape, *p) for p in planes] for _ in range(shape.layers)]
        self._views: dict[tuple[int, int, int], list[Planes]] = {}

    def __iter__(self) -> Iterator[Tensor]:
        """All planes, layer by layer."""
        return (plane for planes in self._layers for plane in planes)

    @property
    def bytes(self) -> int:
        return self.slots * self.positions * self.bytes_per_token

    def write(self, layer: int, slots: Any, positions: Any, parts: Sequence[Tensor]) -> None:
        """Put ``parts``, ``[n, 2, G, width]`` of each plane, into n positions of n slots."""
        for plane, part in zip(self._layers[layer], parts, strict=True):
            plane[:, slots, :, positions] = part

    def views(self, rows: slice, width: int) -> list[Planes]:
        """The first positions of some slots, of every layer; made anew if others are asked for."""
        key = (rows.start, rows.stop, width)
        if key not in self._views:
            if len(self._views) == KEPT:
                self._views.clear()
            self._views[key] = [
                _halves(plane[:, rows, :, :width] for plane in planes) for planes in self._layers
            ]
        return self._views[key]

    def copies(self, layer: int, rows: Tensor, width: int) -> Planes:
        """The same of any slots, of one layer."""
        return _halves(plane[:, rows, :, :width] for plane in self._layers[layer])

    def move(self, source: int, target: int, held: int) -> None:
        """Copy the first ``held`` positions of a slot to another."""
        for plane in self:
            plane[:, target, :, :held] = plane[:, source, :, :held]

    def block(self, slot: int, start: int, end: int) -> tuple[Tensor, ...]:
        """A copy of some positions of a slot: of each plane ``[layers * 2, G, n, width]``."""
        by_plane = zip(*self._layers, strict=True)
        return tuple(torch.cat([p[:, slot, :, start:end] for p in planes]) for planes in by_plane)

    def put(self, slot: int, start: int, block: Sequence[Tensor]) -> None:
        """Take such a copy back."""
        for planes, parts in zip(zip(*self._layers, strict=True), block, strict=True):
            for layer, plane in enumerate(planes):
                part = parts[2 * layer : 2 * layer + 2]
                plane[:, slot, :, start : start + part.shape[2]] = part

    def resize(self, slots: int, positions: int) -> None:
        """Have so many of them; what lies within both sizes stays, what is new is zero."""
        self._views = {}  # views would keep what they are of
        for planes in self._layers:
            for i, old in enumerate(planes):  # one by one: old and new are held together
                planes[i] = _resized(old, slots, positions)
        self.slots, self.positions = slots, positions


def _none_yet(shape: CacheShape, width: int, dtype: torch.dtype) -> Tensor:
    return torch.empty((2, 0, shape.kv_heads, 0, width), dtype=dtype, device=shape.device)


def _halves(planes: Iterator[Tensor]) -> Planes:
    keys, values = zip(*(plane.unbind(0) for plane in planes), strict=True)
    return keys, values


def _resized(old: Tensor, slots: int, positions: int) -> Tensor:
    _, have_slots, heads, have_positions, width = old.shape
    new = old.new_empty((2, slots, heads, positions, width))
    slots, positions = min(slots, have_slots), min(positions, have_positions)
    new[:, :slots, :, :positions] = old[:, :slots, :, :positions]
    new[:, :slots, :, positions:] = 0  # masked, but it must be finite
    new[:, slots:] = 0
    return new
