"""An index of each sequence's n-grams, extended as the sequence grows."""

from __future__ import annotations

from collections.abc import Sequence

from ablate.engines.local.interfaces import Draft, Proposer, Seq


class NgramIndex:
    """Where each n-gram of a growing token list was last followed by something."""

    def __init__(self, min_n: int, max_n: int) -> None:
        self._sizes = range(max_n, min_n - 1, -1)
        self._follows: dict[tuple[int, ...], int] = {}
        self._indexed = 0

    def extend(self, tokens: Sequence[int]) -> None:
        """Index every n-gram that has a token after it."""
        for end in range(max(self._indexed, 1), len(tokens)):
            for n in self._sizes:
                if n <= end:
                    self._follows[tuple(tokens[end - n : end])] = end
        self._indexed = len(tokens)

    def lookup(self, tokens: Sequence[int], k: int) -> list[int]:
        """Up to ``k`` tokens that followed the longest n-gram that the list ends with."""
        for n in self._sizes:
            if n <= len(tokens):
                place = self._follows.get(tuple(tokens[-n:]))
                if place is not None:
                    return list(tokens[place : place + k])
        return []


class NgramProposer(Proposer):
    """Drafts from the sequence itself, with certainty."""

    def __init__(self, k: int, min_n: int, max_n: int) -> None:
        self._k = k
        self._sizes = (min_n, max_n)
        self._indexes: dict[int, NgramIndex] = {}

    @property
    def lookahead(self) -> int:
        return self._k

    def propose(self, seqs: Sequence[Seq]) -> list[Draft]:
        return [self._propose(seq) for seq in seqs]

    def _propose(self, seq: Seq) -> Draft:
        index = self._indexes.get(seq.id)
        if index is None:
            index = self._indexes[seq.id] = NgramIndex(*self._sizes)
        index.extend(seq.tokens)
        return Draft(index.lookup(seq.tokens, min(self._k, seq.remaining - 1)))

    def release(self, seq_id: int) -> None:
        self._indexes.pop(seq_id, None)
