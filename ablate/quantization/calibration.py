"""Text that a quantizer looks at: worked examples, and the rows of tokens made of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ablate.errors import TrialError
from ablate.types import ModelSpec

BLOCK = 512


def examples(model: ModelSpec, method: str, samples: int, seed: int) -> list[tuple[str, str]]:
    """``samples`` (prompt, completion) pairs from the training splits of the recipe's domains.

    Raises TrialError where no domain has any.
    """
    drawn = model.calibration(samples, seed) if model.calibration else ()
    if not drawn:
        raise TrialError(
            f"{method} needs calibration text, and none of the recipe's domains has worked "
            "training examples; add a domain that has, such as 'arithmetic' or 'logic', or a data "
            "set with a training split"
        )
    return [(prompt, completion) for prompt, completion in drawn]


def token_rows(source: str, texts: Iterable[Sequence[str]]) -> list[list[int]]:
    """(prompt, completion) pairs as the model reads them, joined and cut into rows of equal length.

    ``source`` is the folder with the tokenizer. Rows of 512 tokens, as the papers' authors do in
    their code; gptqmodel's AWQ silently keeps only the last of rows of unequal length.
    """
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(source, local_files_only=True)
    ids: list[int] = []
    for prompt, completion in texts:
        text = _chat(tokenizer, prompt) + completion + (tokenizer.eos_token or "")
        ids += tokenizer(text, add_special_tokens=False)["input_ids"]
    block = min(BLOCK, len(ids), tokenizer.model_max_length)
    return [ids[i : i + block] for i in range(0, len(ids) - block + 1, block)]


def _chat(tokenizer: Any, prompt: str) -> str:
    """The prompt as it stands before an answer; without a chat template, on a line of its own."""
    if not tokenizer.chat_template:
        return f"{tokenizer.bos_token or ''}{prompt}\n"
    turn = [{"role": "user", "content": prompt}]
    return str(tokenizer.apply_chat_template(turn, tokenize=False, add_generation_prompt=True))
