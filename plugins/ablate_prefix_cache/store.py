"""A KV store that remembers prompts, around any store that can share blocks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from ablate.engines.local.batch import Batch, Group
from ablate.engines.local.interfaces import Block, KVStore, Seq
from ablate_prefix_cache.index import BlockIndex, block_keys


class PrefixStore(KVStore):
    """Copies full prompt blocks out of the inner store once computed, and into new sequences."""

    def __init__(self, inner: KVStore, block_size: int) -> None:
        self._inner = inner
        self._block_size = block_size
        self._index = BlockIndex()
        self._keys: dict[int, list[bytes]] = {}
        self._computing: dict[bytes, int] = {}
        self._queries = 0
        self._hits = 0
        self._num_evictions = 0

    @property
    def capacity_tokens(self) -> int:
        return self._inner.capacity_tokens

    @property
    def tokens(self) -> int:
        return self._inner.tokens

    @property
    def bytes_per_token(self) -> float:
        return self._inner.bytes_per_token

    @property
    def cached_tokens(self) -> int:
        """Tokens in remembered blocks, beside those of admitted sequences."""
        return len(self._index) * self._block_size

    @property
    def used_bytes(self) -> int:
        return round((self.tokens + self.cached_tokens) * self.bytes_per_token)

    @property
    def allocated_bytes(self) -> int:
        return self._inner.allocated_bytes + round(self.cached_tokens * self.bytes_per_token)

    @property
    def counters(self) -> Mapping[str, float]:
        mine = {
            "prefix_cache_queries": self._queries,
            "prefix_cache_hits": self._hits,
            "prefix_cache_evictions": self._num_evictions,
        }
        return {**self._inner.counters, **{k: float(v) for k, v in mine.items()}}

    def set_aside(self, bytes_per_token: float) -> None:
        super().set_aside(bytes_per_token)
        self._inner.set_aside(bytes_per_token)

    def fits(self, lengths: Sequence[int]) -> bool:
        return self._inner.fits(lengths)

    def ready(self, seq: Seq) -> bool:
        # the first missing block is being computed: a moment later it can be shared
        missing = next((k for k in self._usable_keys(seq) if k not in self._index), None)
        return missing not in self._computing and self._inner.ready(seq)

    def add(self, seq: Seq) -> int:
        self._inner.add(seq)
        found = self._index.leading(self._usable_keys(seq))
        for number, block in enumerate(found):
            self._inner.adopt(seq.id, number * self._block_size, block)
        held = len(found) * self._block_size
        if not seq.token_times:  # what a preempted sequence computed before says nothing of sharing
            self._queries += len(seq.tokens)
            self._hits += held
        for key in self._prompt_keys(seq)[len(found) :]:
            self._computing.setdefault(key, seq.id)
        return held

    def _usable_keys(self, seq: Seq) -> list[bytes]:
        # the last known token is left out: its logits are needed, so it is computed again
        return self._prompt_keys(seq)[: (len(seq.tokens) - 1) // self._block_size]

    def _prompt_keys(self, seq: Seq) -> list[bytes]:
        """Hashed once, though a waiting sequence is asked about at every step."""
        if seq.id not in self._keys:
            self._keys[seq.id] = block_keys(seq.tokens[: seq.prompt_len], self._block_size)
        return self._keys[seq.id]

    def free(self, seq_id: int) -> None:
        for key in self._keys.pop(seq_id):
            self._forget_computing(key, seq_id)
        self._inner.free(seq_id)

    def reset(self) -> None:
        self._index = BlockIndex()
        self._inner.reset()

    def length(self, seq_id: int) -> int:
        return self._inner.length(seq_id)

    def holds(self, length: int) -> int:
        return self._inner.holds(length)

    def order(self, seq_id: int) -> int:
        return self._inner.order(seq_id)

    def begin(self, batch: Batch) -> None:
        self._inner.begin(batch)
        self._make_room()

    def positions(self, group: Group) -> Tensor | None:
        return self._inner.positions(group)

    def layer_positions(self, layer: int, group: Group) -> Tensor | None:
        return self._inner.layer_positions(layer, group)

    @property
    def observes(self) -> bool:
        return self._inner.observes

    def observe(self, layer: int, group: Group, weights: Tensor) -> None:
        self._inner.observe(layer, group, weights)

    def append(self, layer: int, key: Tensor, value: Tensor) -> None:
        self._inner.append(layer, key, value)

    def read(self, layer: int, group: Group) -> tuple[Tensor, Tensor]:
        return self._inner.read(layer, group)

    def commit(self, seq: Seq, length: int) -> None:
        before = self._inner.length(seq.id)
        self._inner.commit(seq, length)
        keys = self._keys[seq.id]
        size = self._block_size
        for number in range(before // size, min(length // size, len(keys))):
            self._remember(keys[number], seq.id, number * size)
        self._make_room()

    def export(self, seq_id: int, start: int, end: int) -> Block:
        return self._inner.export(seq_id, start, end)

    def adopt(self, seq_id: int, start: int, block: Block) -> None:
        self._inner.adopt(seq_id, start, block)

    def _make_room(self) -> None:
        """Blocks have what the inner store has not taken."""
        room = self.room_tokens * self.bytes_per_token
        while len(self._index) and self.allocated_bytes > room:
            self._index.evict()
            self._num_evictions += 1

    def _remember(self, key: bytes, seq_id: int, start: int) -> None:
        if key not in self._index:
            self._index.put(key, self._inner.export(seq_id, start, start + self._block_size))
        self._forget_computing(key, seq_id)

    def _forget_computing(self, key: bytes, seq_id: int) -> None:
        if self._computing.get(key) == seq_id:
            del self._computing[key]
