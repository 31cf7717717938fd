"""Whether a store keeps within the memory that it was given, as long as it is asked what fits."""

from __future__ import annotations

import math
from collections.abc import Iterator
from random import Random

from ablate.engines.local.interfaces import KVStore
from ablate.testing.cache.bench import LONGEST, VOCABULARY, Bench, Driven, MakeStore, sequence

GIVEN = [LONGEST * n for n in (2, 4, 8, 16)]  # tokens; as few as one sequence fits into
SEQS = 8
MOVES = 60
ASIDE = (0.0, 0.5)  # what a drafter holds of a token, as a share of what the store holds


def keeps_within(on: Bench, make_store: MakeStore) -> Iterator[str]:
    """Sentences about sequences of uneven lengths that come, grow and go while they fit."""
    for seed, aside in enumerate(ASIDE):
        given = (_given(on, make_store, tokens, aside) for tokens in GIVEN)
        enough = next(((s, limit) for s, limit in given if s.fits([LONGEST])), None)
        if enough is None:
            yield f"fits() should let a sequence of {LONGEST} tokens in where {GIVEN[-1]} fit"
        else:
            yield from _Load(Driven(on, enough[0]), enough[1], Random(seed)).play()


def _given(on: Bench, make_store: MakeStore, tokens: int, aside: float) -> tuple[KVStore, int]:
    """A store with the memory of so many tokens, and the bytes of it that a drafter leaves."""
    per_token = on.store(make_store).bytes_per_token
    budget = math.ceil(per_token * tokens)
    store = on.store(make_store, budget, SEQS)
    store.set_aside(aside * per_token)
    return store, math.ceil(budget / (1 + aside))


class _Load:
    """Does what a scheduler does that asks ``fits``."""

    def __init__(self, driven: Driven, limit: int, rng: Random) -> None:
        self._driven = driven
        self._limit = limit
        self._rng = rng
        self._next_id = 0

    def play(self) -> Iterator[str]:
        for _ in range(MOVES):
            self._rng.choice((self._admit, self._grow, self._grow, self._free))()
            taken = self._driven.store.allocated_bytes
            if taken > self._limit:
                lengths = sorted(self._driven.kept.values())
                yield (
                    f"allocated_bytes ({taken}) should keep within the memory that is given "
                    f"({self._limit}), and fits() let sequences of {lengths} tokens in; let it "
                    "count what they take, and spare memory end at room_tokens"
                )
                return

    def _admit(self) -> None:
        # other first tokens, so that little is shared
        size = self._rng.choice((3, 5, 9, 20, 40))
        tokens = [self._rng.randrange(VOCABULARY) for _ in range(size)]
        kept = self._driven.kept
        if len(kept) < SEQS and self._driven.store.fits([*kept.values(), size]):
            held = self._driven.admit(sequence(self._next_id, tokens))
            self._write(self._next_id, tokens[held:])
            self._next_id += 1

    def _grow(self) -> None:
        kept = self._driven.kept
        if not kept:
            return
        seq_id, n = self._rng.choice(sorted(kept)), self._rng.randint(1, 12)
        grown = {**kept, seq_id: kept[seq_id] + n}
        if grown[seq_id] <= LONGEST and self._driven.store.fits(list(grown.values())):
            self._driven.seqs[seq_id].tokens += [0] * n
            self._write(seq_id, [0] * n)

    def _free(self) -> None:
        if self._driven.kept:
            self._driven.free(self._rng.choice(sorted(self._driven.kept)))

    def _write(self, seq_id: int, tokens: list[int]) -> None:
        self._driven.step({seq_id: tokens})
        self._driven.commit(seq_id, self._driven.kept[seq_id] + len(tokens))
