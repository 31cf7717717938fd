"""What ``generate()`` answers, computed once a session for each model: tokens, and how sure it was.

Random models, in float32, of every shape that makes a difference to the engine.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

NEW_TOKENS = 20
# Grouped heads, as many as query heads, one; embeddings tied and not; a head size of its own;
# biases (qwen2), normed queries and keys (qwen3), windows shorter than the context, in all layers
# or in one. Seeds: of those whose answers differ, end and are sure.
SHAPES: Mapping[str, tuple[str, int, Mapping[str, Any]]] = {
    "llama": ("llama", 5, {}),
    "llama-tied": ("llama", 4, {"tie_word_embeddings": True, "num_key_value_heads": 4}),
    "qwen2": ("qwen2", 5, {"num_key_value_heads": 1}),
    "qwen2-windows": (
        "qwen2",
        5,
        {"use_sliding_window": True, "sliding_window": 24, "max_window_layers": 1},
    ),
    "qwen3": ("qwen3", 5, {"head_dim": 32}),
    "mistral": ("mistral", 3, {"sliding_window": 16}),
}
SHARED = "the very same long beginning of one prompt in three, "
PROMPTS = (
    *(f"{SHARED}{i:02}" + "x" * (i % 4 * 3) for i in range(24)),
    *((f"{i * 7919 % 1000:03}," * 20)[: 3 + i % 8 * 9] for i in range(40)),
)


@dataclass(frozen=True)
class Reference:
    """``tokens`` of each prompt's answer, with the end where it ended; ``margin``: the least by
    which a chosen token's logit was ahead of the next."""

    tokens: tuple[tuple[int, ...], ...]
    margin: float


@cache
def reference(path: Path, prompts: tuple[str, ...] = PROMPTS) -> Reference:
    """Prompts of one length go together, unpadded."""
    model: Any = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32)
    tokenizer: Any = AutoTokenizer.from_pretrained(path)
    by_length: dict[int, list[list[int]]] = defaultdict(list)
    for prompt in prompts:
        ids = tokenizer(prompt, add_special_tokens=False).input_ids
        by_length[len(ids)].append(ids)
    answers: dict[tuple[int, ...], tuple[int, ...]] = {}
    margins = []
    for alike in by_length.values():
        told, margin = _generated(model, alike)
        answers |= zip(map(tuple, alike), told, strict=True)
        margins.append(margin)
    asked = (tuple(tokenizer(p, add_special_tokens=False).input_ids) for p in prompts)
    return Reference(tuple(answers[ids] for ids in asked), min(margins))


def _generated(model: Any, prompts: Sequence[list[int]]) -> tuple[list[tuple[int, ...]], float]:
    end = model.generation_config.eos_token_id
    with torch.inference_mode():
        out = model.generate(
            torch.tensor(prompts),
            max_new_tokens=NEW_TOKENS,
            do_sample=False,
            pad_token_id=end,
            return_dict_in_generate=True,
            output_logits=True,
        )
    best = torch.stack(out.logits, dim=1).topk(2).values
    rows = [_ended(row, end) for row in out.sequences[:, len(prompts[0]) :].tolist()]
    ahead = [
        float((best[i, : len(row), 0] - best[i, : len(row), 1]).min()) for i, row in enumerate(rows)
    ]
    return [tuple(row) for row in rows], min(ahead)


def _ended(row: list[int], end: int) -> list[int]:
    return row[: row.index(end) + 1] if end in row else row
