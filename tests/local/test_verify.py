"""Speculative sampling has exactly the model's distribution."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from ablate.engines.local.interfaces import Draft, Seq
from ablate.engines.local.sampler import ACCEPT, DRAFT, SeededSampler, most_likely
from ablate.engines.local.verify import verify
from ablate.types import Problem, Request, Sampling

VOCABULARY = 6
TRIES = 4000
LEAST = 1e-4  # with fixed seeds a constant either way; of other seeds, one run in 700 would fail


def sequence(seed: int) -> Seq:
    request = Request("r", Problem("p", "d", "", ""), 0, seed)
    return Seq(0, request, [0], 1, 10, 0.0, 0.0)


def frequencies(
    proposal: str, top_p: float, kind: type[SeededSampler] = SeededSampler
) -> tuple[torch.Tensor, list[list[int]]]:
    """First and second token of speculative decoding from fixed next-token distributions."""
    sampler = kind(Sampling(temperature=0.7, top_p=top_p))
    generator = torch.Generator().manual_seed(3)
    logits = torch.randn(2, VOCABULARY, generator=generator)
    expected = sampler.probs(logits)
    other = torch.randn(1, VOCABULARY, generator=generator)
    guess = sampler.probs({"opposite": -2 * logits[:1]}.get(proposal, other))
    counts = [[0] * VOCABULARY, [0] * VOCABULARY]
    for seed in range(TRIES):
        seq = sequence(seed)
        draft = Draft([2])
        if proposal != "certain":
            draft = Draft(sampler.draw(guess, [sampler.uniform(seed, 1, DRAFT)]), guess)
        (new,) = verify(logits, [seq], [draft], sampler)
        for place, token_id in enumerate(new):
            counts[place][token_id] += 1
    return expected, counts


def fits(probs: torch.Tensor, observed: list[int]) -> float:
    """The p-value; what cannot be must not have been."""
    possible = probs > 0
    assert all(n == 0 for n, ok in zip(observed, possible, strict=True) if not ok)
    seen = [n for n, ok in zip(observed, possible, strict=True) if ok]
    share = probs[possible].double() / probs[possible].double().sum()
    return float(chisquare(seen, (share * sum(seen)).numpy()).pvalue)


@pytest.mark.parametrize("proposal", ["other", "opposite", "certain"])
@pytest.mark.parametrize("top_p", [1.0, 0.8])
def test_distribution_is_the_models(proposal: str, top_p: float) -> None:
    expected, counts = frequencies(proposal, top_p)
    assert fits(expected[0], counts[0]) > LEAST
    if proposal == "opposite" and top_p < 1:
        assert not any(counts[1])  # the draft's nucleus lies outside of the model's
    else:
        assert fits(expected[1], counts[1]) > LEAST


class KeepsAll(SeededSampler):
    def uniform(self, seed: int, position: int, stream: int) -> float:
        return 0.0 if stream == ACCEPT else super().uniform(seed, position, stream)


class OneNumberForAll(SeededSampler):
    def uniform(self, seed: int, position: int, stream: int) -> float:
        return super().uniform(seed, position, DRAFT)


@pytest.mark.parametrize("kind", [KeepsAll, OneNumberForAll])
def test_a_wrong_sampler_would_be_found(kind: type[SeededSampler]) -> None:
    expected, counts = frequencies("other", 1.0, kind)
    assert fits(expected[0], counts[0]) < 1e-9


def test_plain_sampling_has_the_models_distribution() -> None:
    sampler = SeededSampler(Sampling(temperature=1.0))
    logits = torch.tensor([[0.0, 1.0, 2.0, -1.0]])
    counts = [0] * 4
    for seed in range(TRIES):
        ((token,),) = verify(logits, [sequence(seed)], [Draft(())], sampler)
        counts[token] += 1
    expected = sampler.probs(logits)[0].double().numpy() * TRIES
    assert chisquare(counts, expected * (TRIES / expected.sum())).pvalue > LEAST


def test_greedy_keeps_matching_drafts_only() -> None:
    sampler = SeededSampler(Sampling())
    logits = torch.eye(4)[[1, 2, 3]]
    seqs = [sequence(0)]
    assert verify(logits, seqs, [Draft([1, 2])], sampler) == [[1, 2, 3]]
    assert verify(logits, seqs, [Draft([1, 0])], sampler) == [[1, 2]]
    assert verify(logits, seqs, [Draft([3, 2])], sampler) == [[1]]


@given(
    st.lists(st.lists(st.sampled_from([-2.5, -1e-3, -0.0, 0.0, 0.5, 3.0]), min_size=6, max_size=6)),
    st.sampled_from([torch.float32, torch.bfloat16]),
)
def test_the_most_likely_token_is_the_first_of_the_best(
    rows: list[list[float]], dtype: torch.dtype
) -> None:
    logits = torch.tensor(rows, dtype=dtype).view(-1, 6)
    assert most_likely(logits) == [row.index(max(row)) for row in logits.tolist()]
