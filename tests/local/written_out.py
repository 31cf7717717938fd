"""A model with attention written out, to serve as a reference: no store, no batch, no speed.

Shapes: G key/value heads, F query heads of each, N tokens, D head size.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor
from transformers import AttentionInterface, AutoModelForCausalLM, AutoTokenizer
from transformers.masking_utils import AttentionMaskInterface

NAME = "ablate_reference"


class Attend(Protocol):
    """Attention of one layer."""

    def __call__(self, layer: int, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """``[G, F, N, D]`` of a scaled query ``[G, F, N, D]`` and keys and values ``[G, N, D]``."""


def reference_answers(
    path: Path,
    prompts: Sequence[str],
    make: Callable[[], Attend],
    pieces: int | None = None,
    max_new_tokens: int = 24,
) -> list[str]:
    """Greedy answers, by attention that is made anew for each prompt.

    ``pieces``: tokens of the prompt that are computed at once, after which they come one by one and
    attention has to remember; None: all tokens are computed again for each new one.
    """
    attends: list[Attend] = []

    def attention(
        module: Any, query: Tensor, key: Tensor, value: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, None]:
        scaled = query[0].view(key.shape[1], -1, *query.shape[2:]) * query.shape[-1] ** -0.5
        out = attends[-1](module.layer_idx, scaled, key[0], value[0])
        return out.flatten(0, 1).transpose(0, 1)[None], None

    AttentionInterface.register(NAME, attention)
    AttentionMaskInterface.register(NAME, lambda *args, **kwargs: None)
    model: Any = AutoModelForCausalLM.from_pretrained(
        path, dtype=torch.float32, attn_implementation=NAME
    )
    tokenizer = AutoTokenizer.from_pretrained(path)
    answers = []
    for prompt in prompts:
        attends.append(make())
        tokens = tokenizer(prompt, add_special_tokens=False).input_ids
        new = _generated(model.eval(), tokens, pieces, max_new_tokens)
        answers.append(str(tokenizer.decode(new, skip_special_tokens=True)))
    return answers


def _generated(model: Any, prompt: list[int], pieces: int | None, most: int) -> list[int]:
    tokens, computed = list(prompt), 0
    with torch.inference_mode():
        while len(tokens) < len(prompt) + most:
            end = min(computed + (pieces or len(tokens)), len(tokens))
            logits = model(
                input_ids=torch.tensor([tokens[computed:end]]),
                position_ids=torch.arange(computed, end)[None],
                use_cache=False,
            ).logits
            computed = end if pieces else 0
            if end < len(tokens):
                continue
            tokens.append(int(logits[0, -1].argmax()))
            if tokens[-1] == model.config.eos_token_id:
                break
    return tokens[len(prompt) :]


def masked(query: Tensor, key: Tensor, value: Tensor, seen: Tensor) -> Tensor:
    """Attention in which token p sees token j where ``seen[p, j]``."""
    scores = query @ key[:, None].transpose(2, 3)
    return scores.masked_fill(~seen, -torch.inf).softmax(-1) @ value[:, None]


def places(n: int) -> tuple[Tensor, Tensor]:
    """``[n, 1]`` and ``[1, n]``: each token's place, as one that looks and as one that is seen."""
    every = torch.arange(n)
    return every[:, None], every[None]
