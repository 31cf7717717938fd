"""Training batches, generated on the fly from the domains' training splits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from ablate.domains import Algebra, Arithmetic, Code, Knowledge, Logic, Sorting
from ablate.domains.base import Domain
from ablate.thinking import visible_text
from ablate.types import Problem
from training.tokenizer import IM_END, chat

IGNORED = -100

POOL = 2048

# How far a difficulty reaches: a little beyond what the models are asked by default. It grows over
# the first pools, because copying and looking up are found sooner in short problems.
FIRST_REACH, LAST_REACH = 3, 11
GROWING_POOLS = 24


def shares(hardest: int) -> Mapping[Domain, float]:
    """What is learned, with each domain's share of the problems."""
    return {
        Arithmetic(max_difficulty=hardest): 0.12,
        Algebra(max_difficulty=hardest, equations=0.8): 0.30,
        Logic(max_difficulty=hardest): 0.36,
        Code(max_difficulty=hardest): 0.08,
        Sorting(max_difficulty=hardest): 0.09,
        Knowledge(): 0.05,
    }


def reach(pools: int) -> int:
    """The highest difficulty in the pool after ``pools`` others."""
    grown = min(1.0, pools / GROWING_POOLS)
    return FIRST_REACH + round(grown * (LAST_REACH - FIRST_REACH))


@dataclass(frozen=True)
class Example:
    """Token ids of one worked problem; the first ``prompt`` of them are not learned."""

    ids: list[int]
    prompt: int


@dataclass(frozen=True)
class Batch:
    """``ids`` and ``labels``, both (rows, length), padded on the right."""

    ids: Tensor
    labels: Tensor


def pool(seed: int, hardest: int = LAST_REACH) -> list[Problem]:
    """About ``POOL`` training problems up to a difficulty; another seed gives others."""
    return [
        problem
        for domain, share in shares(hardest).items()
        for problem in domain.training(round(POOL * share), seed)
    ]


def at_once(problem: Problem) -> Problem:
    """The problem with nothing but its answer as solution."""
    return replace(problem, solution=visible_text(problem.solution or "").strip())


def encode(tokenizer: PreTrainedTokenizerFast, problems: Sequence[Problem]) -> list[Example]:
    """Prompt and solution are tokenized apart, as they are when an answer is generated."""
    prompts = tokenizer([chat(problem.prompt) for problem in problems])["input_ids"]
    answers = tokenizer([f"{problem.solution}{IM_END}" for problem in problems])["input_ids"]
    return [
        Example(prompt + answer, len(prompt))
        for prompt, answer in zip(prompts, answers, strict=True)
    ]


def collate(examples: Sequence[Example], pad: int) -> Batch:
    """Right padding: under causal attention no real token sees it, so no mask is needed."""
    length = max(len(example.ids) for example in examples)
    ids = torch.full((len(examples), length), pad)
    labels = torch.full((len(examples), length), IGNORED)
    for row, example in enumerate(examples):
        whole = torch.tensor(example.ids)
        ids[row, : len(whole)] = whole
        labels[row, example.prompt : len(whole)] = whole[example.prompt :]
    return Batch(ids, labels)


def batches(
    problems: Sequence[Problem], tokenizer: PreTrainedTokenizerFast, seed: int, tokens: int
) -> Iterator[Batch]:
    """The problems in batches of about ``tokens`` ids, similar lengths together."""
    rng = Random(seed)
    examples = sorted(encode(tokenizer, problems), key=lambda example: len(example.ids))
    groups: list[list[Example]] = [[]]
    for example in examples:
        # Sorted, so the newest example is the longest of its batch.
        if (len(groups[-1]) + 1) * len(example.ids) > tokens:
            groups.append([])
        groups[-1].append(example)
    rng.shuffle(groups)
    for group in groups:
        yield collate(group, tokenizer.pad_token_id)
