"""A trained model as the folder that transformers and vLLM load."""

from __future__ import annotations

import copy
import shutil
from pathlib import Path

import torch
from torch import nn
from transformers import GenerationConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from training import tokenizer as tokenizers


def export(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Write bfloat16 safetensors, configuration and tokenizer; replaces the folder in one go."""
    fresh = folder.with_name(f"{folder.name}.part")
    shipped = copy.deepcopy(model)
    nn.Module.to(shipped, device="cpu", dtype=torch.bfloat16)
    shipped.set_attn_implementation("sdpa")
    shipped.generation_config = GenerationConfig(  # type: ignore[no-untyped-call]
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id
    )
    shipped.save_pretrained(fresh)
    tokenizers.save(tokenizer, fresh)
    if folder.exists():
        shutil.rmtree(folder)
    fresh.rename(folder)
