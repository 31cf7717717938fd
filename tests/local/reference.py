"""Attention written out: full forward passes over all tokens, with what each token may see."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import AttentionInterface, AutoModelForCausalLM, AutoTokenizer
from transformers.masking_utils import AttentionMaskInterface

NAME = "ablate_reference"

# Of one layer: queries [H, N, D], keys and values [H, N, D], scale; returns [H, N, D].
Attend = Callable[[Tensor, Tensor, Tensor, float], Tensor]


def reference_answers(
    path: Path, prompts: Sequence[str], attend: Attend, max_new_tokens: int = 24
) -> list[str]:
    """Greedy answers, each token by a pass over all before it."""

    def attention(
        module: torch.nn.Module,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attention_mask: Tensor | None,
        scaling: float | None = None,
        **kwargs: Any,
    ) -> tuple[Tensor, None]:
        fold = query.shape[1] // key.shape[1]
        keys, values = (x[0].repeat_interleave(fold, dim=0) for x in (key, value))
        scale = query.shape[-1] ** -0.5 if scaling is None else scaling
        return attend(query[0], keys, values, scale).transpose(0, 1)[None], None

    AttentionInterface.register(NAME, attention)
    AttentionMaskInterface.register(NAME, lambda *args, **kwargs: None)
    model: Any = AutoModelForCausalLM.from_pretrained(
        path, dtype=torch.float32, attn_implementation=NAME
    )
    tokenizer = AutoTokenizer.from_pretrained(path)
    return [_answer(model.eval(), tokenizer, prompt, max_new_tokens) for prompt in prompts]


def _answer(model: Any, tokenizer: Any, prompt: str, max_new_tokens: int) -> str:
    tokens = tokenizer(prompt, add_special_tokens=False).input_ids
    start = len(tokens)
    with torch.inference_mode():
        while len(tokens) < start + max_new_tokens:
            logits = model(input_ids=torch.tensor([tokens]), use_cache=False).logits
            tokens.append(int(logits[0, -1].argmax()))
            if tokens[-1] == model.config.eos_token_id:
                break
    return str(tokenizer.decode(tokens[start:], skip_special_tokens=True))


def masked(query: Tensor, keys: Tensor, values: Tensor, scale: float, seen: Tensor) -> Tensor:
    """Attention in which token p sees token j where ``seen[p, j]``."""
    scores = (query @ keys.transpose(1, 2)) * scale
    weights = scores.masked_fill(~seen, -torch.inf).softmax(-1)
    return weights @ values


def distances(n: int) -> tuple[Tensor, Tensor]:
    """``[n, 1]`` and ``[1, n]``: each token's place, as one that looks and as one that is seen."""
    places = torch.arange(n)
    return places[:, None], places[None]
