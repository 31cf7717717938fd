"""What can be seen of a store with a few fixed sequences: precision, capacity and sharing."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise

from torch import Tensor, cosine_similarity

from ablate.engines.local.interfaces import KVStore
from ablate.testing.cache.bench import (
    BUDGET,
    LONGEST,
    VOCABULARY,
    Bench,
    Driven,
    MakeStore,
    sequence,
)

ALIKE = 0.5  # cosine similarity; one bit a number still has 0.8, another token's vector about 0
FILLED = 3 * 40
AMPLE = 8  # times as much, for stores that take whole rings or blocks
BLOCK = 8
TOKENS = [i * i % VOCABULARY for i in range(LONGEST)]


def look(on: Bench, make_store: MakeStore) -> Iterator[str]:
    """Sentences about what one sequence of tokens shows."""
    store = on.store(make_store)
    yield from _sizes(store)
    driven = Driven(on, store)
    driven.admit(sequence(0, TOKENS[:40]))
    for start, end in pairwise((0, 16, 32, 39, 40)):
        read = driven.step({0: TOKENS[start:end]})[0]
        driven.commit(0, end)
    faithful = _alike(read, on.truth(TOKENS[:40]))
    if not faithful[..., -1].all():
        yield (
            "the newest token's keys and values should be read back nearly as they were written, "
            f"and are not (cosine similarity below {ALIKE}); are keys and values, heads or rows "
            "mixed up?"
        )
    read_back = float(faithful.float().sum(-1).mean())
    if read_back > store.tokens + 1:  # the newest may since have taken the place of another
        yield (
            f"tokens says that {store.tokens} are held, and {read_back:g} are read back; it is "
            "what memory is reported from"
        )
    driven.free(0)
    if store.tokens:
        yield f"tokens should be 0 once every sequence is freed, and is {store.tokens}"


def _sizes(store: KVStore) -> Iterator[str]:
    if not store.bytes_per_token > 0:
        yield f"bytes_per_token should be more than 0, and is {store.bytes_per_token}"
    elif not 0 < store.capacity_tokens * store.bytes_per_token <= BUDGET:
        yield (
            f"capacity_tokens ({store.capacity_tokens}) x bytes_per_token "
            f"({store.bytes_per_token:g}) should be within limits.kv_cache_memory_bytes ({BUDGET})"
        )


def _alike(read: Tensor, truth: Tensor) -> Tensor:
    """By layer, head and token, ``[layers, G, L]``, whether both its key and its value are what was
    written.
    """
    return (cosine_similarity(read, truth, dim=-1) >= ALIKE).all(1)


def fill(on: Bench, make_store: MakeStore) -> Iterator[str]:
    """Sentences about a store that is filled to what it says it can hold."""
    per_token = on.store(make_store).bytes_per_token
    budget = math.ceil(per_token * FILLED)
    store = on.store(make_store, budget, seqs=3)
    if not FILLED / 2 <= store.capacity_tokens <= FILLED:
        yield (
            f"capacity_tokens should follow limits.kv_cache_memory_bytes: {budget} bytes at "
            f"{per_token:g} a token are {FILLED} tokens, and it says {store.capacity_tokens}"
        )
        return
    size = _fitting(store)
    if not size:  # a store may take as much for a short sequence as for a long one
        budget *= AMPLE
        store = on.store(make_store, budget, seqs=3)
        size = _fitting(store)
    if not size:
        yield f"fits() should let three sequences of a token each in where {FILLED * AMPLE} fit"
        return
    driven = Driven(on, store)
    for seq_id in range(3):
        # other first tokens, so that nothing is shared
        driven.admit(sequence(seq_id, [seq_id, *TOKENS[: size - 1]]))
    read = driven.step({i: seq.tokens for i, seq in driven.seqs.items()})
    for seq_id, seq in driven.seqs.items():
        driven.commit(seq_id, size)
        if not _alike(read[seq_id], on.truth(seq.tokens))[..., -1].all():
            yield f"filled to its capacity, sequence {seq_id} is not read back as it was written"
    if store.used_bytes > budget:
        yield (
            f"used_bytes ({store.used_bytes}) exceeds limits.kv_cache_memory_bytes ({budget}) "
            "though capacity_tokens is kept to"
        )


def _fitting(store: KVStore) -> int:
    """Of how many tokens three sequences fit; 0: of none."""
    return max((n for n in range(1, LONGEST) if store.fits([n] * 3)), default=0)


def share(on: Bench, make_store: MakeStore) -> Iterator[str]:
    """Sentences about blocks that are taken out of one sequence and put into another."""
    store = on.store(make_store)
    driven = Driven(on, store)
    prompt = TOKENS[: 2 * BLOCK + 3]
    driven.admit(sequence(0, prompt))
    driven.step({0: prompt})
    driven.commit(0, len(prompt))
    blocks = [store.export(0, start, start + BLOCK) for start in (0, BLOCK)]
    for block in blocks:
        if not all(part.shape[2] == BLOCK for part in block):
            yield "each tensor of a block should have its tokens in dimension 2"
    driven.free(0)
    # another beginning, so that a store that remembers prompts knows nothing of it
    overwrite = [2 - t for t in prompt]
    driven.admit(sequence(1, overwrite))
    driven.step({1: overwrite})
    driven.commit(1, len(overwrite))
    driven.admit(sequence(2, prompt))
    for number, block in enumerate(blocks):
        store.adopt(2, number * BLOCK, block)
    driven.kept[2] = 2 * BLOCK
    if store.length(2) != 2 * BLOCK:
        yield f"adopt() should commit: length is {store.length(2)} after {2 * BLOCK} tokens"
        return
    read = driven.step({2: prompt[driven.kept[2] :]})[2]
    yield from _adopted(on, make_store, prompt, read)


def _adopted(on: Bench, make_store: MakeStore, prompt: list[int], read: Tensor) -> Iterator[str]:
    alone = Driven(on, on.store(make_store))
    alone.admit(sequence(0, prompt))
    fresh = alone.step({0: prompt})[0]
    lost = (fresh - on.truth(prompt)).abs().amax((0, 1, 2, 4))
    off = (read - fresh).abs().amax((0, 1, 2, 4))
    if bool((off > lost + 1e-5).any()):
        yield (
            f"adopted tokens are read back off by {float(off.max()):.2g} from a store that "
            "computed them itself; export() must copy, in a form that adopt() puts back"
        )


def refuses(on: Bench, make_store: MakeStore) -> Iterator[str]:
    """A sentence about a store that says it cannot share blocks and shares them."""
    try:
        problems = list(share(on, make_store))
    except Exception:  # whatever way it refuses in
        return
    if problems:
        yield (
            "it says that it drops 'shared_blocks', and export() and adopt() give something all "
            "the same; raise NotImplementedError, as KVStore does"
        )
    else:
        yield (
            "it says that it drops 'shared_blocks', and exports and adopts blocks rightly; leave "
            "it out of Requirements.drops, so that prefix caching can be combined with it"
        )
