"""The decode step of the engine: prefill chunks, decoding rows and drafts in one forward pass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ablate.engines.local.batch import Span
from ablate.engines.local.interfaces import Chunk, DecodeStep, Draft, Proposer, Sampler
from ablate.engines.local.runner import ModelRunner
from ablate.engines.local.verify import verify

NOTHING = Draft(())


class VerifyingStep(DecodeStep):
    """One forward pass over all chunks; with a proposer, rows that decode also check its drafts."""

    def __init__(
        self, runner: ModelRunner, sampler: Sampler, proposer: Proposer | None = None
    ) -> None:
        self._runner = runner
        self._sampler = sampler
        self._proposer = proposer
        self._counters = dict.fromkeys(("num_steps", "num_scheduled_tokens"), 0.0)
        if proposer:
            names = ("spec_num_drafts", "spec_num_draft_tokens", "spec_num_accepted_tokens")
            self._counters |= dict.fromkeys(names, 0.0)

    @property
    def lookahead(self) -> int:
        return self._proposer.lookahead if self._proposer else 0

    @property
    def weight_bytes(self) -> int:
        return self._proposer.weight_bytes if self._proposer else 0

    @property
    def kv_bytes(self) -> int:
        return self._proposer.kv_bytes if self._proposer else 0

    @property
    def kv_allocated_bytes(self) -> int:
        return self._proposer.kv_allocated_bytes if self._proposer else 0

    @property
    def kv_bytes_per_token(self) -> float:
        return self._proposer.kv_bytes_per_token if self._proposer else 0.0

    @property
    def counters(self) -> Mapping[str, float]:
        return dict(self._counters)

    def release(self, seq_id: int) -> None:
        if self._proposer:
            self._proposer.release(seq_id)

    def __call__(self, chunks: Sequence[Chunk]) -> list[list[int]]:
        drafts = self._draft(chunks)
        spans = [_span(c, d) for c, d in zip(chunks, drafts, strict=True)]
        logits = self._runner(spans)
        ending = [(c, d) for c, d in zip(chunks, drafts, strict=True) if c.completes]
        seqs = [c.seq for c, _ in ending]
        verified = iter(verify(logits, seqs, [d for _, d in ending], self._sampler))
        new = [next(verified) if c.completes else [] for c in chunks]
        self._commit(chunks, new)
        self._count(spans, ending, new)
        return new

    def _draft(self, chunks: Sequence[Chunk]) -> list[Draft]:
        if self._proposer is None:
            return [NOTHING] * len(chunks)
        # a prompt's last chunk is not drafted for: its first token should come as soon as it can
        decoding = [c.seq for c in chunks if c.completes and c.n == 1 and c.seq.remaining > 1]
        proposed = dict(
            zip((s.id for s in decoding), self._proposer.propose(decoding), strict=True)
        )
        return [proposed.get(c.seq.id, NOTHING) for c in chunks]

    def _commit(self, chunks: Sequence[Chunk], new: Sequence[Sequence[int]]) -> None:
        for chunk, tokens in zip(chunks, new, strict=True):
            seq = chunk.seq
            seq.computed += chunk.n + max(len(tokens) - 1, 0)
            seq.tokens.extend(tokens)
            self._runner.cache.commit(seq, seq.computed)

    def _count(
        self,
        spans: Sequence[Span],
        ending: Sequence[tuple[Chunk, Draft]],
        new: Sequence[Sequence[int]],
    ) -> None:
        count = self._counters
        count["num_steps"] += 1
        count["num_scheduled_tokens"] += sum(len(s.tokens) for s in spans)
        drafted = [(d, n) for (_, d), n in zip(ending, filter(None, new), strict=True) if d.tokens]
        if drafted:
            count["spec_num_drafts"] += len(drafted)
            count["spec_num_draft_tokens"] += sum(len(d.tokens) for d, _ in drafted)
            count["spec_num_accepted_tokens"] += sum(len(n) - 1 for _, n in drafted)


def _span(chunk: Chunk, draft: Draft) -> Span:
    seq = chunk.seq
    known = seq.tokens[seq.computed : seq.computed + chunk.n]
    keep = 1 + len(draft.tokens) if chunk.completes else 0
    return Span(seq.id, [*known, *draft.tokens], seq.computed, keep)
