"""Which drafted tokens are kept, and what follows them: written once for every proposer.

Greedy drafts are kept while they are what the model would have said. Otherwise drafts are kept or
replaced so that the output has exactly the model's distribution (speculative sampling: Leviathan
et al. 2023, Chen et al. 2023). A draft of no tokens is plain decoding.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ablate.engines.local.interfaces import Draft, Sampler, Seq
from ablate.engines.local.sampler import ACCEPT, SAMPLE, most_likely


def verify(
    logits: Tensor, seqs: Sequence[Seq], drafts: Sequence[Draft], sampler: Sampler
) -> list[list[int]]:
    """New tokens of each sequence: the kept drafts and one token more.

    ``logits`` holds, sequence by sequence, one row for every drafted token and one for the next,
    ``[sum(len(draft) + 1), V]``.
    """
    if sampler.greedy:
        return _greedy(most_likely(logits), drafts)
    probs = sampler.probs(logits)
    if not any(d.tokens for d in drafts):
        return _sample_all(probs, seqs, sampler)
    new = []
    row = 0
    for seq, draft in zip(seqs, drafts, strict=True):
        new.append(_speculate(probs[row : row + len(draft.tokens) + 1], seq, draft, sampler))
        row += len(draft.tokens) + 1
    return new


def _greedy(best: list[int], drafts: Sequence[Draft]) -> list[list[int]]:
    new = []
    row = 0
    for draft in drafts:
        kept = 0
        while kept < len(draft.tokens) and draft.tokens[kept] == best[row + kept]:
            kept += 1
        new.append(best[row : row + kept + 1])
        row += len(draft.tokens) + 1
    return new


def _sample_all(probs: Tensor, seqs: Sequence[Seq], sampler: Sampler) -> list[list[int]]:
    uniforms = [sampler.uniform(s.request.seed, len(s.tokens), SAMPLE) for s in seqs]
    return [[token] for token in sampler.draw(probs, uniforms)]


def _speculate(probs: Tensor, seq: Seq, draft: Draft, sampler: Sampler) -> list[int]:
    seed, place = seq.request.seed, len(seq.tokens)
    new: list[int] = []
    for i, token in enumerate(draft.tokens):
        proposed = _proposal(draft, i, probs)
        ratio = float(probs[i, token]) / float(proposed[token])
        if sampler.uniform(seed, place + i, ACCEPT) >= ratio:
            rest = (probs[i] - proposed).clamp_min(0)
            # numerically equal distributions leave nothing over: then either may be drawn from
            last = rest if float(rest.sum()) > 0 else probs[i]
            break
        new.append(token)
    else:
        last = probs[len(draft.tokens)]
    uniform = sampler.uniform(seed, place + len(new), SAMPLE)
    return [*new, *sampler.draw(last[None], [uniform])]


def _proposal(draft: Draft, i: int, like: Tensor) -> Tensor:
    if draft.probs is not None:
        return draft.probs[i]
    certain = torch.zeros_like(like[i])
    certain[draft.tokens[i]] = 1.0
    return certain
