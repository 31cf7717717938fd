"""Thinking ends at the budget, and what follows is what the model says after that text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from ablate.domains.logic import Logic
from ablate.engines.local.session import LocalSession
from ablate.errors import TrialError
from ablate.models import ModelConfig, resolve_model
from ablate.plugins import Plugin
from ablate.testing import tiny_model
from ablate.types import Evidence, Sampling
from ablate_budget_forcing import BudgetForcing
from ablate_draft import Draft
from ablate_ngram import Ngram
from ablate_prefix_cache import PrefixCache
from tests.local.serving import Served, open_session, prompts_of_many_lengths, serve

MOST = 5
TOKENS = 20
PROMPTS = [f"{prompt}<think>" for prompt in prompts_of_many_lengths(8)]
REASONER = Path(resolve_model(ModelConfig("tiny-reasoner")).path)
PROBLEMS = [problem.prompt for problem in Logic(limit=8, max_difficulty=3).problems()]
KV_TOKEN_BYTES = 2 * 2 * 2 * 16 * 4  # keys and values, layers, KV heads, head size, float32


@pytest.fixture(scope="module")
def random_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """It never closes what a prompt opens; its tokens are bytes, so a closing has eight."""
    return tiny_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def forced(random_model: Path) -> list[str]:
    """What ``generate()`` says: the first tokens of thinking, and what follows when they are
    closed."""
    model: Any = AutoModelForCausalLM.from_pretrained(random_model, dtype=torch.float32)
    model.eval()
    tokenizer = AutoTokenizer.from_pretrained(random_model)
    closing = tokenizer.encode("</think>", add_special_tokens=False)

    def on(ids: list[int], tokens: int) -> list[int]:
        with torch.inference_mode():
            out = model.generate(torch.tensor([ids]), max_new_tokens=tokens, do_sample=False)
        return list(out[0].tolist())

    texts = []
    for prompt in PROMPTS:
        ids = tokenizer.encode(prompt, add_special_tokens=False)
        thought = on(ids, MOST)
        assert tokenizer.eos_token_id not in thought
        whole = on([*thought, *closing], TOKENS - MOST - len(closing))
        texts.append(str(tokenizer.decode(whole[len(ids) :], skip_special_tokens=True)))
    return texts


def opened(
    path: Path,
    plugin: BudgetForcing | None,
    more: dict[str, Plugin] | None = None,
    tokens: int = TOKENS,
    **options: Any,
) -> LocalSession:
    arm: dict[str, Plugin] = {"budget_forcing": plugin} if plugin else {}
    return open_session(
        path, plugins={**(more or {}), **arm}, sampling=Sampling(max_tokens=tokens), **options
    )


def evidence(session: LocalSession, plugin: BudgetForcing) -> Evidence:
    return plugin.ablate_evidence(session.evidence_state("measured"))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"concurrency": 1},
        {"max_num_batched_tokens": 6},  # less than a closing
        {"kv_cache_gib": 200 * KV_TOKEN_BYTES / 2**30},
    ],
    ids=["together", "alone", "chunked", "preempted"],
)
def test_the_answer_is_what_follows_the_closing(
    random_model: Path, forced: list[str], options: dict[str, Any]
) -> None:
    plugin = BudgetForcing(MOST)
    session = opened(random_model, plugin, **options)
    served = serve(session, PROMPTS, options.get("concurrency", 8))
    assert served.texts() == forced
    numbers = evidence(session, plugin).numbers
    assert numbers["num_thinking"] == numbers["num_thinking_closed"] == len(PROMPTS)
    assert numbers["longest_thinking"] == MOST
    if "kv_cache_gib" in options:
        assert session.evidence_state("measured").counters["num_preemptions"] > 0


@pytest.mark.parametrize("k", [1, 3, 7])
@pytest.mark.parametrize("kind", ["draft", "ngram", "prefix_cache"])
def test_it_goes_with_drafts_that_overshoot(
    random_model: Path, forced: list[str], kind: str, k: int
) -> None:
    made: dict[str, Plugin] = {
        "draft": Draft(str(random_model), k=k),
        "ngram": Ngram(k=k, min_n=1),
        "prefix_cache": PrefixCache(block_size=k),
    }
    plugin = BudgetForcing(MOST)
    session = opened(random_model, plugin, {kind: made[kind]})
    assert serve(session, PROMPTS).texts() == forced
    assert evidence(session, plugin).numbers["longest_thinking"] == MOST


def test_what_ends_within_the_budget_is_left_alone() -> None:
    free = serve(opened(REASONER, None, tokens=150), PROBLEMS)
    plugin = BudgetForcing(60)
    session = opened(REASONER, plugin, tokens=150)
    kept = serve(session, PROBLEMS)
    thought = thinking(free)
    assert min(thought) <= 60 < max(thought)
    for before, after, size in zip(free.texts(), kept.texts(), thought, strict=True):
        assert (before == after) is (size <= 60)
    assert max(thinking(kept)) == 60
    found = evidence(session, plugin)
    assert found.numbers["num_thinking"] == len(PROBLEMS)
    assert found.numbers["num_thinking_closed"] == sum(size > 60 for size in thought)
    assert all(text.split("</think>")[1].strip() for text in kept.texts())  # an answer came


def thinking(served: Served) -> list[int]:
    """Tokens between the markers, counted anew."""
    tokenizer = AutoTokenizer.from_pretrained(REASONER)
    texts = [text.removeprefix("<think>").split("</think>")[0] for text in served.texts()]
    return [len(tokenizer.encode(text, add_special_tokens=False)) for text in texts]


def test_plain_and_speculative_steps_close_the_same() -> None:
    plugin = BudgetForcing(30)
    plain = opened(REASONER, plugin, tokens=100)
    drafted = opened(REASONER, plugin, {"draft": Draft("tiny-draft", k=4)}, tokens=100)
    assert serve(plain, PROBLEMS).texts() == serve(drafted, PROBLEMS).texts()
    assert evidence(plain, plugin).numbers == evidence(drafted, plugin).numbers


@pytest.mark.parametrize("most", [17, 18, 1000])  # the model writes <think> itself
def test_nothing_is_written_beyond_the_token_limit(most: int) -> None:
    plugin = BudgetForcing(most, closing="\n</think>\nFinal answer: ")
    session = opened(REASONER, plugin, tokens=20)
    served = serve(session, PROBLEMS)
    done = served.completions.values()
    assert all(c.output_tokens == len(c.token_times) == 20 for c in done)
    assert all(c.finish_reason == "length" for c in done)
    closed = evidence(session, plugin).numbers["num_thinking_closed"]
    assert closed == (0 if most == 1000 else len(PROBLEMS))
    assert evidence(session, plugin).numbers["longest_thinking"] == min(most, 19)


def test_who_would_stop_thinking_is_made_to_go_on() -> None:
    plugin = BudgetForcing(500, wait=2)
    session = opened(REASONER, plugin, tokens=150)
    texts = serve(session, PROBLEMS[:3]).texts()
    found = evidence(session, plugin)
    assert found.numbers["num_thinking_waits"] == sum(text.count("Wait") for text in texts)
    assert found.numbers["num_thinking_waits"] >= 3
    free = serve(opened(REASONER, None, tokens=150), PROBLEMS[:3]).texts()
    for before, after in zip(free, texts, strict=True):
        assert after.startswith(before.split("</think>")[0] + "Wait")
    drafted = opened(REASONER, plugin, {"draft": Draft("tiny-draft", k=4)}, tokens=150)
    assert serve(drafted, PROBLEMS[:3]).texts() == texts


def test_a_model_that_never_thinks_fails_the_arm() -> None:
    llm = Path(resolve_model(ModelConfig("tiny-llm")).path)
    plugin = BudgetForcing(10)
    session = opened(llm, plugin)
    serve(session, PROBLEMS)
    found = evidence(session, plugin)
    assert found.applied is False
    assert "no request opened its thinking" in found.detail
    assert plugin.ablate_evidence(session.evidence_state("warmup")).applied is None


def test_wait_needs_one_closing_token(random_model: Path) -> None:
    with pytest.raises(TrialError, match="makes 8 of </think>"):
        opened(random_model, BudgetForcing(MOST, wait=1))


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"max_thinking_tokens": 0}, "max_thinking_tokens must be at least 1, not 0"),
        ({"max_thinking_tokens": 9, "closing": "stop"}, "closing must have </think> in it"),
        ({"max_thinking_tokens": 9, "wait": -1}, "wait must be at least 0, not -1"),
    ],
)
def test_bad_options(options: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        BudgetForcing(**options)
