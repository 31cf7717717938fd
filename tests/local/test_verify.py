"""Speculative sampling has exactly the model's distribution."""

from __future__ import annotations

import pytest
import torch
from scipy.stats import chisquare

from ablate.engines.local.interfaces import Draft, Seq
from ablate.engines.local.sampler import DRAFT, SeededSampler
from ablate.engines.local.verify import verify
from ablate.types import Problem, Request, Sampling

VOCABULARY = 6
TRIES = 6000


def sequence(seed: int) -> Seq:
    request = Request("r", Problem("p", "d", "", ""), 0, seed)
    return Seq(0, request, [0], 1, 10, 0.0, 0.0)


def frequencies(proposal: str, top_p: float) -> tuple[torch.Tensor, list[list[int]]]:
    """First and second token of speculative decoding from fixed next-token distributions."""
    sampler = SeededSampler(Sampling(temperature=0.7, top_p=top_p))
    generator = torch.Generator().manual_seed(3)
    logits = torch.randn(2, VOCABULARY, generator=generator)
    expected = sampler.probs(logits)
    guess = sampler.probs(torch.randn(1, VOCABULARY, generator=generator))
    counts = [[0] * VOCABULARY, [0] * VOCABULARY]
    for seed in range(TRIES):
        seq = sequence(seed)
        if proposal == "model":
            token = sampler.draw(guess, [sampler.uniform(seed, 1, DRAFT)])
            draft = Draft(token, guess)
        else:
            draft = Draft([2])
        (new,) = verify(logits, [seq], [draft], sampler)
        for place, token_id in enumerate(new):
            counts[place][token_id] += 1
    return expected, counts


@pytest.mark.parametrize("proposal", ["model", "certain"])
@pytest.mark.parametrize("top_p", [1.0, 0.8])
def test_distribution_is_the_models(proposal: str, top_p: float) -> None:
    expected, counts = frequencies(proposal, top_p)
    for probs, observed in zip(expected.double(), counts, strict=True):
        possible = probs > 0
        assert all(n == 0 for n, ok in zip(observed, possible, strict=True) if not ok)
        seen = [n for n, ok in zip(observed, possible, strict=True) if ok]
        share = probs[possible] / probs[possible].sum()
        assert chisquare(seen, (share * sum(seen)).numpy()).pvalue > 1e-3


def test_plain_sampling_has_the_models_distribution() -> None:
    sampler = SeededSampler(Sampling(temperature=1.0))
    logits = torch.tensor([[0.0, 1.0, 2.0, -1.0]])
    counts = [0] * 4
    for seed in range(TRIES):
        ((token,),) = verify(logits, [sequence(seed)], [Draft(())], sampler)
        counts[token] += 1
    expected = sampler.probs(logits)[0].double().numpy() * TRIES
    assert chisquare(counts, expected * (TRIES / expected.sum())).pvalue > 1e-3


def test_greedy_keeps_matching_drafts_only() -> None:
    sampler = SeededSampler(Sampling())
    logits = torch.eye(4)[[1, 2, 3]]
    seqs = [sequence(0)]
    assert verify(logits, seqs, [Draft([1, 2])], sampler) == [[1, 2, 3]]
    assert verify(logits, seqs, [Draft([1, 0])], sampler) == [[1, 2]]
    assert verify(logits, seqs, [Draft([3, 2])], sampler) == [[1]]
