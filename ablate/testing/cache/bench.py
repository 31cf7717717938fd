"""Keys and values that a model might compute, and a store that is driven with them.

Shapes: G key/value heads, D head size, L tokens of a sequence.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor

from ablate.engines.local.batch import Batch, Group, Span
from ablate.engines.local.interfaces import KVStore, Seq
from ablate.engines.local.slots import CacheShape
from ablate.testing.cache.view import StoreError, attention, layer_view, shared_view, unfolded
from ablate.testing.device import device
from ablate.testing.models import random_model
from ablate.types import Limits, Problem, Request

MakeStore = Callable[[Any, Limits], KVStore]

LONGEST = 64  # tokens of a sequence
VOCABULARY = 3  # few, so that prompts share beginnings
BUDGET = 1 << 22
# grouped heads, as many as query heads, a head size that is not hidden size / heads, a single head
SHAPES: Mapping[str, Mapping[str, int]] = {
    "llama": {},
    "qwen2": {"num_key_value_heads": 4},
    "qwen3": {"head_dim": 32},
    "mistral": {"num_key_value_heads": 1},
}


@dataclass(frozen=True, eq=False)
class Bench:
    """A model, and what it computes for each token at each position.

    ``computed`` is ``[layers, 2, token, position, G, D]``: keys, then values.
    """

    architecture: str
    model: Any
    computed: Tensor

    @property
    def layers(self) -> int:
        return self.computed.shape[0]

    def truth(self, tokens: Sequence[int]) -> Tensor:
        """``[layers, 2, G, L, D]`` of a sequence."""
        found = self.computed[:, :, list(tokens), range(len(tokens))]
        return found.transpose(2, 3)

    def store(self, make_store: MakeStore, budget: int = BUDGET, seqs: int = 8) -> KVStore:
        made = make_store(self.model, Limits(seqs, 256, LONGEST, budget, 8))
        if not isinstance(made, KVStore):
            raise StoreError(
                f"should be an ablate.engines.local.interfaces.KVStore and is a "
                f"{type(made).__name__}; derive it from KVStore"
            )
        return made


@cache
def bench(architecture: str) -> Bench:
    model = random_model(architecture, **SHAPES[architecture]).to(device())
    shape = CacheShape.of(model)
    size = (shape.layers, 2, VOCABULARY, LONGEST, shape.kv_heads, shape.head_dim)
    computed = torch.randn(size, generator=torch.Generator().manual_seed(0))
    return Bench(architecture, model, computed.to(device()))


def sequence(seq_id: int, prompt: Sequence[int]) -> Seq:
    request = Request(str(seq_id), Problem(str(seq_id), "test", "", ""), 0, 0)
    return Seq(seq_id, request, list(prompt), len(prompt), LONGEST, 0.0, 0.0)


class Driven:
    """A store, the sequences in it, and how many of their tokens it is to hold."""

    def __init__(self, on: Bench, store: KVStore) -> None:
        self.bench = on
        self.store = store
        self.seqs: dict[int, Seq] = {}
        self.kept: dict[int, int] = {}

    def admit(self, seq: Seq) -> int:
        held = self.store.add(seq)
        if not 0 <= held < len(seq.tokens):
            raise StoreError(
                f"add() said that {held} of {len(seq.tokens)} known tokens are held; at least the "
                "last one must be left to compute"
            )
        self.seqs[seq.id], self.kept[seq.id] = seq, held
        return held

    def free(self, seq_id: int) -> Seq:
        self.store.free(seq_id)
        del self.kept[seq_id]
        return self.seqs.pop(seq_id)

    def commit(self, seq_id: int, length: int) -> None:
        self.store.commit(self.seqs[seq_id], length)
        self.kept[seq_id] = length

    def step(self, new: Mapping[int, Sequence[int]]) -> dict[int, Tensor]:
        """Write tokens of some sequences; what is read back of each, ``[layers, 2, G, L, D]``."""
        spans = [Span(i, tokens, self.kept[i], keep=0) for i, tokens in new.items()]
        batch = Batch(spans, self.store.order, self.bench.computed.device)
        self.store.begin(batch)
        shared = [shared_view(self.store, group) for group in batch.groups]
        places = [(t, s.start + i) for s in batch.spans for i, t in enumerate(s.tokens)]
        tokens, positions = map(list, zip(*places, strict=True))
        read: dict[int, list[Tensor]] = {i: [] for i in new}
        for layer in range(self.bench.layers):
            keys, values = self.bench.computed[layer][:, tokens, positions]
            self.store.append(layer, keys, values)
            for group, view in zip(batch.groups, shared, strict=True):
                whole = self._read(layer, group, view, keys)
                for span, row in zip(group.spans, whole, strict=True):
                    read[span.seq_id].append(row[:, :, : span.start + len(span.tokens)])
        return {i: torch.stack(layers) for i, layers in read.items()}

    def _read(self, layer: int, group: Group, view: Tensor | None, new: Tensor) -> list[Tensor]:
        """What the rows of a group read, ``[2, G, L, D]`` each, in the order of the sequence.

        ``new``: the step's keys; they ask for each other and for what is held.
        """
        own = layer_view(self.store, layer, group, new.shape[1])
        view = view if own is None else own
        length = group.length if view is None else view.shape[3]
        rows = self._checked(self.store.read(layer, group), group.rows, length)
        if self.store.observes:
            mine = new[group.offset : group.offset + group.rows * group.q]
            asked = mine.view(group.rows, group.q, *mine.shape[1:]).transpose(1, 2)
            self.store.observe(layer, group, attention(asked, rows[:, 0], view, group))
        if view is None:
            return list(rows)
        return [unfolded(row, seen) for row, seen in zip(rows, view, strict=True)]

    def _checked(self, read: tuple[Tensor, Tensor], rows: int, length: int) -> Tensor:
        """``[R, 2, G, L, D]`` of what a store returned, if it has the form of that."""
        heads, size = self.bench.computed.shape[4:]
        wanted = (rows, heads, length, size)
        for name, part in zip(("keys", "values"), read, strict=True):
            if tuple(part.shape) != wanted or part.dtype != self.bench.model.dtype:
                raise StoreError(
                    f"read() should give {name} of shape {wanted} in {self.bench.model.dtype}, and "
                    f"gave {tuple(part.shape)} in {part.dtype}"
                )
        both = torch.stack(tuple(read), dim=1)
        if not bool(both.isfinite().all()):
            raise StoreError(
                "read() gave entries that are not finite; what lies beyond a row's length is "
                "masked but must be finite, so make its memory with zeros"
            )
        return both
