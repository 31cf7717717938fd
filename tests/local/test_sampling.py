"""With a temperature: what is drawn has the model's distribution, and is the request's own.

The distribution of whole answers is worked out exactly, by the model in transformers with its
temperature and top-p, and compared by chi-square with what thousands of requests get.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from scipy.stats import chisquare
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    LogitsProcessorList,
    TemperatureLogitsWarper,
    TopPLogitsWarper,
)

from ablate.plugins import Plugin
from ablate.types import Sampling
from ablate_draft import Draft
from ablate_ngram import Ngram
from ablate_prefix_cache import PrefixCache
from tests.local.conftest import Make
from tests.local.reference import PROMPTS, reference
from tests.local.watched import Watched

# found by trying: what follows a likely first token here is a likely second one, for n-grams
ASKED = "PXp@6hc:/&iNrO8LC_^V!=?t{^JT{}5Q.du6UL-x"
ANSWERS = 1200
# Seeds are fixed, so each of the tests either always passes or never does. Were the seeds others, a
# right sampler would fail one of them in a thousand runs; wrong ones have less than 1e-9 (below).
LEAST = 1e-4
RARE = 5.0  # expected answers below which chi-square does not hold; they are counted together
Answer = tuple[int, ...]


def exact(path: Path, sampling: Sampling) -> dict[Answer, float]:
    """The probability of each answer of ``sampling.max_tokens``, or fewer where one ends it.

    Of those that begin in a way that is not rare.
    """
    model: Any = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32)
    end = model.generation_config.eos_token_id
    prompt = AutoTokenizer.from_pretrained(path)(ASKED, add_special_tokens=False).input_ids
    warp: Any = LogitsProcessorList(
        [TemperatureLogitsWarper(sampling.temperature), TopPLogitsWarper(sampling.top_p)]
    )
    found: dict[Answer, float] = {(): 1.0}
    for _ in range(sampling.max_tokens):
        open_ = [a for a, p in found.items() if end not in a and p * ANSWERS >= RARE]
        if not open_:
            break
        ids = torch.tensor([[*prompt, *answer] for answer in open_])
        with torch.inference_mode():
            probs = warp(ids, model(ids).logits[:, -1]).double().softmax(-1)
        for answer, row in zip(open_, probs, strict=True):
            before = found.pop(answer)
            possible = row.nonzero().flatten().tolist()
            found |= {(*answer, token): before * float(row[token]) for token in possible}
    return {a: p for a, p in found.items() if len(a) == sampling.max_tokens or end in a}


def fit(expected: Mapping[Answer, float], answers: list[Answer]) -> float:
    """The p-value of the answers."""
    counts = Counter(answers)
    often = [a for a, p in expected.items() if p * len(answers) >= RARE]
    assert len(often) > 10
    seen = [counts[a] for a in often]
    wanted = [expected[a] * len(answers) for a in often]
    rest = len(answers) - sum(wanted)
    return float(chisquare([*seen, len(answers) - sum(seen)], [*wanted, rest]).pvalue)


def drawn(path: Path, sampling: Sampling, plugins: Mapping[str, Plugin]) -> list[Answer]:
    session = Watched(path, plugins, sampling=sampling, concurrency=64)
    answers = session.serve([ASKED] * ANSWERS)
    if plugins:
        drafted = session.counted["spec_num_draft_tokens"]
        assert 0 < session.counted["spec_num_accepted_tokens"] < drafted
    return list(answers)


@pytest.fixture(scope="module")
def drafters(checkpoint: Make, near: Make) -> Mapping[str, dict[str, Plugin]]:
    return {
        "plain": {},
        "near draft": {"draft": Draft(str(near("llama")), k=2)},
        "other draft": {"draft": Draft(str(checkpoint("llama-tied")), k=3)},
        "ngram": {"ngram": Ngram(k=2, min_n=1)},
    }


WARM, NUCLEUS = (0.5, 1.0, 3), (1.0, 0.5, 4)  # temperature, top-p, tokens
WIDER = (1.0, 0.8, 3)  # of two models that have little in common, some tokens are in both nuclei
SLOW = [("plain", WARM), ("other draft", WARM), ("ngram", WARM)]
CASES = [
    *(("near draft", WARM), ("near draft", NUCLEUS), ("other draft", WIDER)),
    *(("ngram", NUCLEUS), ("plain", NUCLEUS)),
    *(pytest.param(*case, marks=pytest.mark.slow) for case in SLOW),
]


@pytest.mark.parametrize(("drafter", "form"), CASES)
def test_answers_have_the_models_distribution(
    checkpoint: Make,
    drafters: Mapping[str, dict[str, Plugin]],
    drafter: str,
    form: tuple[float, float, int],
) -> None:
    """The first token comes with the prompt; of the others, drafts are all but the last."""
    path = checkpoint("llama")
    sampling = Sampling(*form)
    assert fit(exact(path, sampling), drawn(path, sampling, drafters[drafter])) > LEAST


WILD = Sampling(temperature=0.9, top_p=0.95, max_tokens=16)


@pytest.fixture(scope="module")
def alone(checkpoint: Make) -> tuple[Answer, ...]:
    path = checkpoint("llama")
    return Watched(path, sampling=WILD, concurrency=1).serve(PROMPTS[:32])


def test_answers_are_drawn_not_chosen(checkpoint: Make, alone: tuple[Answer, ...]) -> None:
    greedy = reference(checkpoint("llama")).tokens
    assert all(a[:16] != b[:16] for a, b in zip(alone, greedy[:32], strict=True))
    assert len(set(alone)) == 32


@pytest.mark.parametrize(
    ("options", "plugins", "happened"),
    [
        ({}, {}, "num_steps"),
        ({"max_num_batched_tokens": 45}, {}, "num_steps"),
        ({"budget": 400}, {}, "num_preemptions"),
        ({}, {"prefix_cache": PrefixCache(block_size=8)}, "prefix_cache_hits"),
    ],
    ids=["together", "in chunks", "preempted", "sharing a prefix"],
)
def test_an_answer_does_not_depend_on_its_neighbours(
    checkpoint: Make,
    alone: tuple[Answer, ...],
    options: dict[str, Any],
    plugins: dict[str, Plugin],
    happened: str,
) -> None:
    session = Watched(checkpoint("llama"), plugins, sampling=WILD, **options)
    assert session.serve(PROMPTS[:32]) == alone
    assert session.counted[happened] > 0


def test_an_answer_does_not_depend_on_its_place_in_the_queue(
    checkpoint: Make, alone: tuple[Answer, ...]
) -> None:
    session = Watched(checkpoint("llama"), sampling=WILD, concurrency=5)
    assert session.serve(PROMPTS[:32], order=lambda asked: asked[::-1]) == alone


def test_drafted_answers_do_not_depend_on_neighbours(checkpoint: Make, near: Make) -> None:
    draft: dict[str, Plugin] = {"draft": Draft(str(near("llama")), k=3)}
    path = checkpoint("llama")
    lone, many = (
        Watched(path, draft, sampling=WILD, concurrency=n).serve(PROMPTS[:32]) for n in (1, 32)
    )
    assert lone == many
