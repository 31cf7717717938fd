"""Blocks of computed prompts, found by content."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from hashlib import blake2b
from struct import pack

from ablate.engines.local.interfaces import Block


def block_keys(tokens: Sequence[int], block_size: int) -> list[bytes]:
    """A key for every full block: a hash of all tokens up to its end, so that equal keys mean
    equal prefixes (blake2b, 128 bits: collisions are out of reach)."""
    keys = []
    digest = blake2b(digest_size=16)
    for start in range(0, len(tokens) - block_size + 1, block_size):
        block = tokens[start : start + block_size]
        digest.update(pack(f"<{block_size}q", *block))
        keys.append(digest.copy().digest())
    return keys


class BlockIndex:
    """Blocks by key, the least recently used first to go."""

    def __init__(self) -> None:
        self._blocks: OrderedDict[bytes, Block] = OrderedDict()

    def __len__(self) -> int:
        return len(self._blocks)

    def __contains__(self, key: bytes) -> bool:
        return key in self._blocks

    def leading(self, keys: Sequence[bytes]) -> list[Block]:
        """The blocks of the first keys, up to the first that is missing."""
        found = []
        for key in keys:
            if key not in self._blocks:
                break
            self._blocks.move_to_end(key)
            found.append(self._blocks[key])
        return found

    def put(self, key: bytes, block: Block) -> None:
        self._blocks[key] = block

    def evict(self) -> None:
        """Drop the least recently used block."""
        self._blocks.popitem(last=False)
