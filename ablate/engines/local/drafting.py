"""Drafting with a model that has a KV store of its own, for all sequences of a batch at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ablate.engines.local.batch import Span
from ablate.engines.local.interfaces import Draft, KVStore, Proposer, Sampler, Seq
from ablate.engines.local.runner import ModelRunner
from ablate.engines.local.sampler import DRAFT, most_likely
from ablate.engines.local.slots import CacheShape, SlotStore
from ablate.types import Limits


def beside(model: Any, cache: KVStore) -> KVStore:
    """A drafter's store, in its share of the memory; the main store's admission is its own."""
    own, main = CacheShape.of(model).full_bytes_per_token, cache.bytes_per_token
    share = round(cache.capacity_tokens * main * own / (own + main))
    most = model.config.max_position_embeddings
    return SlotStore(model, Limits(1 << 20, 1 << 20, most, share))


class DraftModel(Proposer):
    """Drafts ``k`` tokens with ``k`` forward passes over all sequences.

    The first pass also computes what the draft has not seen: the prompt at first, later the tokens
    that the model put in place of its own. Tokens that were not accepted are overwritten.
    """

    def __init__(self, model: Any, cache: KVStore, sampler: Sampler, k: int) -> None:
        self._model = model
        self._cache = beside(model, cache)
        self._run = ModelRunner(model, self._cache)
        self._sampler = sampler
        self._k = k
        # the last draft of each sequence and where it began, to find how much of it stands
        self._last: dict[int, tuple[int, list[int]]] = {}

    @property
    def lookahead(self) -> int:
        return self._k

    @property
    def kv_bytes(self) -> int:
        return self._cache.used_bytes

    @property
    def kv_allocated_bytes(self) -> int:
        return self._cache.allocated_bytes

    @property
    def kv_bytes_per_token(self) -> float:
        return self._cache.bytes_per_token

    def release(self, seq_id: int) -> None:
        if self._last.pop(seq_id, None):
            self._cache.free(seq_id)

    def propose(self, seqs: Sequence[Seq]) -> list[Draft]:
        drafts = {s.id: _Growing(s, self._catch_up(s)) for s in seqs}
        for step in range(self._k):
            active = [d for d in drafts.values() if d.seq.remaining - 1 > step]
            if not active:
                break
            self._extend(active)
        for seq in seqs:
            self._last[seq.id] = (len(seq.tokens), drafts[seq.id].tokens)
        return [drafts[s.id].draft() for s in seqs]

    def _catch_up(self, seq: Seq) -> Span:
        """The tokens that the draft's store lacks: at least the newest, whose logits are wanted."""
        if seq.id not in self._last:
            self._cache.add(seq)
            start = 0
        else:
            begin, drafted = self._last[seq.id]
            # the last drafted token was proposed but never computed
            start = begin + _matching(drafted[:-1], seq.tokens[begin:])
        start = min(start, len(seq.tokens) - 1)
        return Span(seq.id, seq.tokens[start:], start, keep=1)

    def _extend(self, drafts: list[_Growing]) -> None:
        logits = self._run([d.span for d in drafts])
        for d in drafts:
            self._cache.commit(d.seq, d.end)
        probs: Tensor | None = None
        if self._sampler.greedy:
            chosen = most_likely(logits)
        else:
            probs = self._sampler.probs(logits)
            uniforms = [self._sampler.uniform(d.seq.request.seed, d.end, DRAFT) for d in drafts]
            chosen = self._sampler.draw(probs, uniforms)
        for row, (draft, token) in enumerate(zip(drafts, chosen, strict=True)):
            draft.grow(token, None if probs is None else probs[row])


class _Growing:
    """A draft while it is made. ``span`` is what to compute for its next token."""

    def __init__(self, seq: Seq, span: Span) -> None:
        self.seq = seq
        self.span = span
        self.tokens: list[int] = []
        self._probs: list[Tensor] = []

    @property
    def end(self) -> int:
        """Position of the token that follows the span."""
        return self.span.start + len(self.span.tokens)

    def grow(self, token: int, probs: Tensor | None) -> None:
        self.tokens.append(token)
        if probs is not None:
            self._probs.append(probs)
        self.span = Span(self.seq.id, [token], self.end, keep=1)

    def draft(self) -> Draft:
        return Draft(self.tokens, torch.stack(self._probs) if self._probs else None)


def _matching(a: Sequence[int], b: Sequence[int]) -> int:
    """How many first elements are equal."""
    for i, (x, y) in enumerate(zip(a, b, strict=False)):
        if x != y:
            return i
    return min(len(a), len(b))
