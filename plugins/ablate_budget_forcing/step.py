"""A decode step, plain or speculative, whose new tokens are kept within a budget for thinking."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from weakref import WeakKeyDictionary

from ablate.engines.local.interfaces import Chunk, DecodeStep, KVStore, Seq
from ablate_budget_forcing.thinking import Budget, Forced, Thought


class BudgetStep(DecodeStep):
    """Replaces what the inner step made from the place on where the budget ends.

    The tokens that it writes are not computed yet: they are the sequence's next chunk.
    """

    def __init__(self, inner: DecodeStep, cache: KVStore, budget: Budget) -> None:
        self._inner = inner
        self._cache = cache
        self._budget = budget
        # of the sequences themselves: a preempted one is released, and goes on where it was
        self._thoughts: WeakKeyDictionary[Seq, Thought] = WeakKeyDictionary()
        self._num_thinking = 0
        self._num_closed = 0
        self._num_waits = 0
        self.longest = 0
        """The most tokens that a request has thought."""

    @property
    def lookahead(self) -> int:
        return self._inner.lookahead

    @property
    def weight_bytes(self) -> int:
        return self._inner.weight_bytes

    @property
    def kv_bytes(self) -> int:
        return self._inner.kv_bytes

    @property
    def counters(self) -> Mapping[str, float]:
        """``num_thinking``: requests that think; of these, ``num_thinking_closed`` at the budget.
        ``num_thinking_waits``: how often one that had closed was made to go on.
        """
        mine = {
            "num_thinking": float(self._num_thinking),
            "num_thinking_closed": float(self._num_closed),
            "num_thinking_waits": float(self._num_waits),
        }
        return {**self._inner.counters, **mine}

    def release(self, seq_id: int) -> None:
        self._inner.release(seq_id)

    def __call__(self, chunks: Sequence[Chunk]) -> list[list[int]]:
        made = self._inner(chunks)
        return [
            self._within(chunk.seq, tokens) if tokens else []
            for chunk, tokens in zip(chunks, made, strict=True)
        ]

    def _within(self, seq: Seq, tokens: list[int]) -> list[int]:
        known = len(seq.tokens) - len(tokens)
        forced = self._watch(seq, known)
        if forced is None:
            return tokens
        seq.tokens[forced.at :] = forced.tokens
        if seq.computed > forced.at:  # drafts were kept beyond it
            seq.computed = forced.at
            self._cache.commit(seq, forced.at)
        return seq.tokens[known:]

    def _watch(self, seq: Seq, known: int) -> Forced | None:
        if seq not in self._thoughts:
            self._thoughts[seq] = self._budget.thought(seq)
            self._num_thinking += self._thoughts[seq].begun
        thought = self._thoughts[seq]
        begun, cut, waits = thought.begun, thought.cut, thought.waits
        forced = self._budget.watch(thought, seq, known)
        self._num_thinking += thought.begun - begun
        self._num_closed += thought.cut - cut
        self._num_waits += thought.waits - waits
        self.longest = max(self.longest, thought.spent)
        return forced
