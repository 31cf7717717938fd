"""A model of a known one's shape with random weights, for speed where no weights can be fetched.

``python -m benchmarks.random_model FOLDER --shape qwen2.5-1.5b [--device cuda]``. What it says is
noise, and its tokenizer has a token for each byte; what a step costs depends on neither.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM

from ablate.testing.models import byte_tokenizer

SHAPES: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "smollm2-135m": (
        "llama",
        {
            "vocab_size": 49152,
            "hidden_size": 576,
            "intermediate_size": 1536,
            "num_hidden_layers": 30,
            "num_attention_heads": 9,
            "num_key_value_heads": 3,
            "max_position_embeddings": 8192,
            "tie_word_embeddings": True,
        },
    ),
    "qwen2.5-1.5b": (
        "qwen2",
        {
            "vocab_size": 151936,
            "hidden_size": 1536,
            "intermediate_size": 8960,
            "num_hidden_layers": 28,
            "num_attention_heads": 12,
            "num_key_value_heads": 2,
            "max_position_embeddings": 32768,
            "tie_word_embeddings": True,
        },
    ),
}


def write(folder: Path, shape: str, device: str) -> None:
    architecture, size = SHAPES[shape]
    tokenizer = byte_tokenizer()
    ends = {"eos_token_id": tokenizer.eos_token_id, "bos_token_id": None, "pad_token_id": None}
    config = AutoConfig.for_model(architecture, **size, **ends)
    make: Any = AutoModelForCausalLM.from_config  # not annotated
    torch.manual_seed(0)
    with torch.device(device):
        model = make(config, dtype=torch.bfloat16)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("folder", type=Path, help="where the checkpoint goes")
    parser.add_argument("--shape", choices=SHAPES, default="smollm2-135m")
    parser.add_argument("--device", default="cpu", help="where the weights are drawn")
    options = parser.parse_args()
    write(options.folder, options.shape, options.device)


if __name__ == "__main__":
    main()
