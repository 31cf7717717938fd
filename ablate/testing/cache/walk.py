"""Random sequences of what an engine does with a store, against a store that saw no detours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random

from torch import Tensor

from ablate.engines.local.interfaces import Seq
from ablate.testing.cache.bench import (
    LONGEST,
    VOCABULARY,
    Bench,
    Driven,
    MakeStore,
    sequence,
)
from ablate.testing.cache.view import StoreError
from ablate.testing.findings import said

NOISE = 1e-5
REPLAYED = 0.3  # of the steps in which precision is lost: a fresh store for each takes long


@dataclass(frozen=True)
class Allowed:
    """What a walk may do: commit fewer tokens than were written, and hold ``seqs`` at once."""

    roll_back: bool = True
    seqs: int = 5


class Walk:
    """Admits, extends several rows at once, rolls back, preempts and frees sequences."""

    def __init__(self, on: Bench, make_store: MakeStore, seed: int, allowed: Allowed) -> None:
        self._bench = on
        self._make_store = make_store
        self._rng = Random(seed)
        self._allowed = allowed
        self._driven = Driven(on, on.store(make_store))
        self._pieces: dict[int, list[int]] = {}  # kept tokens of each step, by sequence
        self._next_id = 0
        self.history: list[str] = []

    def go(self, steps: int) -> None:
        """Raises StoreError, with what led to it, when the store is not what it should be."""
        moves = (*[self._admit] * 2, *[self._step] * 6, self._preempt, self._free)
        try:
            for _ in range(steps):
                (self._rng.choice(moves) if self._pieces else self._admit)()
                self._check_counts()
            while self._pieces:
                self._free()
                self._check_counts()
        except Exception as error:
            path = "; ".join(self.history[-6:])
            words = str(error) if isinstance(error, StoreError) else said(error)
            raise StoreError(f"{words} (after … {path})") from error

    def _admit(self) -> None:
        if len(self._pieces) >= self._allowed.seqs:
            return
        rng, known = self._rng, [s.tokens[: s.prompt_len] for s in self._driven.seqs.values()]
        shared = rng.choice(known) if known and rng.random() < 0.5 else []
        fresh = [rng.randrange(VOCABULARY) for _ in range(rng.randint(2, 9))]
        self._add(sequence(self._next_id, [*shared, *fresh][: LONGEST // 2]))
        self._next_id += 1

    def _add(self, seq: Seq) -> None:
        held = self._driven.admit(seq)
        self._pieces[seq.id] = [held] if held else []
        self.history.append(f"add {seq.id} with {len(seq.tokens)} tokens")

    def _preempt(self) -> None:
        seq = self._free()
        self._add(seq)

    def _free(self) -> Seq:
        seq_id = self._rng.choice(sorted(self._pieces))
        del self._pieces[seq_id]
        self.history.append(f"free {seq_id}")
        return self._driven.free(seq_id)

    def _step(self) -> None:
        rng = self._rng
        chosen = rng.sample(sorted(self._pieces), rng.randint(1, len(self._pieces)))
        # as many for each row, as in decoding, or whatever
        most = rng.choice((1, 1, 2, 6, None))
        new = {i: tokens for i in chosen if (tokens := self._tokens(self._driven.seqs[i], most))}
        if not new:
            return
        kept = {i: self._keep(len(tokens)) for i, tokens in new.items()}
        sizes = ", ".join(f"{len(t)} to {i} of which {kept[i]} stay" for i, t in new.items())
        self.history.append(f"append {sizes}")
        read = self._driven.step(new)
        lossy = [i for i, tokens in new.items() if not self._is_true(i, tokens, read[i])]
        if lossy and rng.random() < REPLAYED:
            one = rng.choice(lossy)
            self._compare(one, new[one], read[one])
        self._commit(new, kept)

    def _tokens(self, seq: Seq, n: int | None) -> list[int]:
        """Known tokens that are not held yet, perhaps with drafts behind the last of them."""
        start = self._driven.kept[seq.id]
        n = n or self._rng.randint(1, 9)
        known = seq.tokens[start : start + n]
        drafts = n - len(known) if start + len(known) == len(seq.tokens) else 0
        room = LONGEST - 1 - start
        return [*known, *(self._rng.randrange(VOCABULARY) for _ in range(drafts))][:room]

    def _keep(self, written: int) -> int:
        all_of_it = not self._allowed.roll_back or self._rng.random() < 0.4
        return written if all_of_it else self._rng.randint(0, written)

    def _commit(self, new: Mapping[int, Sequence[int]], kept: Mapping[int, int]) -> None:
        for seq_id, tokens in new.items():
            seq, start = self._driven.seqs[seq_id], self._driven.kept[seq_id]
            end = start + kept[seq_id]
            if end >= len(seq.tokens):  # accepted drafts, and the token that follows them
                seq.tokens[start:] = [*tokens[: kept[seq_id]], self._rng.randrange(VOCABULARY)]
            self._driven.commit(seq_id, end)
            self._pieces[seq_id] += [kept[seq_id]] if kept[seq_id] else []

    def _truth(self, seq_id: int, new: Sequence[int]) -> Tensor:
        seq, start = self._driven.seqs[seq_id], self._driven.kept[seq_id]
        return self._bench.truth([*seq.tokens[:start], *new])

    def _is_true(self, seq_id: int, new: Sequence[int], read: Tensor) -> bool:
        return bool(((read - self._truth(seq_id, new)).abs() <= NOISE).all())

    def _compare(self, seq_id: int, new: Sequence[int], read: Tensor) -> None:
        seq, truth = self._driven.seqs[seq_id], self._truth(seq_id, new)
        fresh = self._fresh(seq, new)
        lost = (fresh - truth).abs().amax((0, 1, 2, 4))
        off = (read - fresh).abs().amax((0, 1, 2, 4))
        worse = (off > lost + NOISE).nonzero().flatten().tolist()
        if worse:
            at = worse[0]
            raise StoreError(
                f"token {at} of sequence {seq_id}'s {len(lost)} reads back off by "
                f"{float(off[at]):.2g} from a fresh store that saw the same tokens without "
                f"detours, which itself loses {float(lost[at]):.2g}"
            )

    def _fresh(self, seq: Seq, new: Sequence[int]) -> Tensor:
        """What a store with this sequence alone reads, fed in the same pieces."""
        alone = Driven(self._bench, self._bench.store(self._make_store))
        alone.admit(sequence(0, [*seq.tokens[: self._driven.kept[seq.id]], *new]))
        start = 0
        for size in self._pieces[seq.id]:
            alone.step({0: seq.tokens[start : start + size]})
            start += size
            alone.commit(0, start)
        return alone.step({0: new})[0]

    def _check_counts(self) -> None:
        store, kept = self._driven.store, self._driven.kept
        for seq_id, length in kept.items():
            if store.length(seq_id) != length:
                raise StoreError(
                    f"length({seq_id}) should be the {length} tokens that were committed, and is "
                    f"{store.length(seq_id)}"
                )
        total = sum(store.holds(length) for length in kept.values())
        if any(not min(n, 1) <= store.holds(n) <= n for n in kept.values()):
            raise StoreError("holds() should give at least 1 and at most the length, and 0 of 0")
        if not (0 <= store.tokens <= total and bool(store.tokens) == bool(total)):
            raise StoreError(
                f"tokens is {store.tokens} while {total} of those committed are to be held"
            )
        needed = round(store.tokens * store.bytes_per_token)
        if not needed <= store.used_bytes <= store.allocated_bytes:
            raise StoreError(
                f"bytes should grow from tokens x bytes_per_token ({needed}) over used_bytes "
                f"({store.used_bytes}) to allocated_bytes ({store.allocated_bytes})"
            )
        if not all(isinstance(store.order(i), int) for i in kept):
            raise StoreError("order() should give a whole number for every admitted sequence")
