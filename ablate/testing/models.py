"""Random models of several architectures, with a byte tokenizer, saved as checkpoints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast
from transformers.utils.logging import disable_progress_bar

ARCHITECTURES = ("llama", "qwen2", "qwen3", "mistral")
END = "<|end|>"


def save(folder: Path, architecture: str = "llama", seed: int = 0, **config: object) -> Path:
    """A random model and its tokenizer as ``from_pretrained`` loads them."""
    disable_progress_bar()  # type: ignore[no-untyped-call]
    random_model(architecture, seed, **config).save_pretrained(folder)
    byte_tokenizer().save_pretrained(folder)
    return folder


def random_model(architecture: str = "llama", seed: int = 0, **config: object) -> Any:
    """A two-layer model in float32. Raises ValueError for an architecture that is not tried."""
    if architecture not in ARCHITECTURES:
        known = ", ".join(ARCHITECTURES)
        raise ValueError(f"architecture must be one of {known}, not {architecture!r}")
    tokenizer = byte_tokenizer()
    settings: dict[str, object] = {
        "vocab_size": len(tokenizer),
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "max_position_embeddings": 1024,
        "eos_token_id": tokenizer.eos_token_id,
        "bos_token_id": None,
        "pad_token_id": None,
        "initializer_range": 0.3,  # spread the logits: near ties would test nothing
    }
    made = AutoConfig.for_model(architecture, **{**settings, **config})
    with torch.random.fork_rng(devices=[]):  # whoever tests has a seed of their own
        torch.manual_seed(seed)
        model = AutoModelForCausalLM.from_config(  # type: ignore[no-untyped-call]
            made, dtype=torch.float32
        )
        _unsettle(model)
    return model.eval()


def _unsettle(model: Any) -> None:
    """Biases begin as zeros and norms as ones, and code that left them out would go unnoticed."""
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 1:
                parameter.add_(torch.randn_like(parameter), alpha=0.2)


def byte_tokenizer() -> PreTrainedTokenizerFast:
    """A token for each byte, and one that ends an output."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {c: i for i, c in enumerate([*alphabet, END])}
    raw = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=raw, eos_token=END
    )
