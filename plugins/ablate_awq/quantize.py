"""``python -m ablate_awq.quantize REQUEST``: quantize a checkpoint with gptqmodel.

Runs in a process of its own: importing gptqmodel changes the environment (also ``HF_HOME``),
transformers and logging, and starts threads, none of which belongs into a measured process.
REQUEST is the JSON file that ``ablate_awq.build`` writes.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ablate.artifacts import exit_with_parent

BLOCK = 512


def main(request: Path) -> None:
    exit_with_parent()
    spec = json.loads(request.read_text(encoding="utf-8"))
    rows = token_rows(spec["source"], spec["examples"])

    import torch
    from gptqmodel import BACKEND, GPTQModel
    from gptqmodel.quantization import AWQConfig

    random.seed(spec["seed"])
    torch.manual_seed(spec["seed"])
    config = AWQConfig(
        bits=spec["bits"],
        group_size=spec["group_size"],
        sym=False,
        device=spec["device"],
        offload_to_disk=False,
        fallback=None,  # else it rounds to nearest where activations are missing, and only logs it
    )
    # float32 cannot be packed, and float16 overflows in some models
    model = GPTQModel.load(spec["source"], config, dtype=torch.bfloat16)
    log = model.quantize(
        [{"input_ids": row, "attention_mask": [1] * len(row)} for row in rows],
        calibration_data_min_length=1,
        batch_size=1,
        backend=BACKEND.AWQ_TORCH,
    )
    check(log)
    model.save(spec["target"])


def token_rows(source: str, examples: Iterable[Sequence[str]]) -> list[list[int]]:
    """The examples as the model reads them, joined and cut into rows of equal length.

    gptqmodel can use rows of unequal length only one at a time and silently keeps the last, so the
    examples are joined into blocks of 512 tokens, as the paper's authors do in their code.
    """
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(source, local_files_only=True)
    ids: list[int] = []
    for prompt, completion in examples:
        text = chat(tokenizer, prompt) + completion + (tokenizer.eos_token or "")
        ids += tokenizer(text, add_special_tokens=False)["input_ids"]
    block = min(BLOCK, len(ids), tokenizer.model_max_length)
    return [ids[i : i + block] for i in range(0, len(ids) - block + 1, block)]


def chat(tokenizer: Any, prompt: str) -> str:
    """The prompt as it stands before an answer; without a chat template, on a line of its own."""
    if not tokenizer.chat_template:
        return f"{tokenizer.bos_token or ''}{prompt}\n"
    turn = [{"role": "user", "content": prompt}]
    return str(tokenizer.apply_chat_template(turn, tokenize=False, add_generation_prompt=True))


def check(log: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    """Refuse a quantization in which a layer did not see all of the calibration text."""
    layers = log["awq"]
    partial = [
        f"layer {row['layer']} {row['module']}"
        for row in layers
        if row["activation_retained_tokens"] != row["activation_raw_tokens"]
    ]
    if partial or not layers:
        raise SystemExit(f"gptqmodel dropped calibration tokens of {', '.join(partial) or 'all'}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
