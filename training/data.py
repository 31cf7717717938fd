"""Training batches, generated on the fly from the domains' training splits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from ablate.domains._split import Generated
from ablate.domains.arithmetic import Arithmetic
from ablate.domains.logic import Logic
from ablate.types import Problem
from training.tokenizer import IM_END, chat

IGNORED = -100

# Logic problems are learned up to this difficulty and asked beyond it, which keeps them hard.
LEARNED_LOGIC = 16
POOL = 2048


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


@dataclass(frozen=True)
class Mixture:
    """What is learned: the domains, and the share of arithmetic among the problems."""

    arithmetic: Arithmetic
    logic: Logic
    arithmetic_share: float = 0.5

    def pool(self, seed: int) -> list[Problem]:
        """``POOL`` training problems; another seed gives others."""
        chains = round(POOL * self.arithmetic_share)
        return [*self.arithmetic.training(chains, seed), *self.logic.training(POOL - chains, seed)]


def domains() -> tuple[Generated, ...]:
    """The domains that the shipped models know."""
    return Arithmetic(), Logic()


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
    mixture: Mixture, tokenizer: PreTrainedTokenizerFast, seed: int, tokens: int
) -> Iterator[Batch]:
    """One pool's problems in batches of about ``tokens`` ids, similar lengths together."""
    rng = Random(seed)
    examples = sorted(encode(tokenizer, mixture.pool(seed)), key=lambda example: len(example.ids))
    groups: list[list[Example]] = [[]]
    for example in examples:
        # Sorted, so the newest example is the longest of its batch.
        if (len(groups[-1]) + 1) * len(example.ids) > tokens:
            groups.append([])
        groups[-1].append(example)
    rng.shuffle(groups)
    for group in groups:
        yield collate(group, tokenizer.pad_token_id)
