"""Untrained heads that draft for the shipped model: what they draft is seldom accepted."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from shutil import copytree
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from ablate.types import ModelSpec


def eagle_head(model: ModelSpec, folder: Path) -> Path:
    """An EAGLE-3 head as vLLM and SGLang load it; it sees three of the model's layers."""
    config = _config(model)
    width, vocabulary = config["hidden_size"], config["vocab_size"]
    layers = list(range(1, config["num_hidden_layers"]))
    tensors = {
        "fc.weight": _random(width, len(layers) * width),
        "lm_head.weight": _random(vocabulary, width),
        "norm.weight": _ones(width),
        "midlayer.hidden_norm.weight": _ones(width),
        **_layer("midlayer.", config, wide=2),
    }
    changes = {
        "architectures": ["LlamaForCausalLMEagle3"],
        "num_hidden_layers": 1,
        "draft_vocab_size": vocabulary,
        "eagle_config": {"eagle_aux_hidden_state_layer_ids": layers},
        "eagle_aux_hidden_state_layer_ids": layers,
        "tie_word_embeddings": False,
    }
    folder.mkdir()
    return _written(folder, config | changes, tensors)


def with_mtp(model: ModelSpec, folder: Path) -> ModelSpec:
    """The model as one of Ernie's kind, all of it dense, with a head that predicts a second token.

    Ernie turns neighbouring elements of queries and keys, where Llama turns both halves.
    """
    copytree(model.path, folder)
    config = _config(model)
    width, size = config["hidden_size"], config["head_dim"]
    tensors = {
        name: _neighbours(tensor, size) if "q_proj" in name or "k_proj" in name else tensor
        for name, tensor in load_file(folder / "model.safetensors").items()
    }
    tensors |= {
        "model.mtp_emb_norm.0.weight": _ones(width),
        "model.mtp_hidden_norm.0.weight": _ones(width),
        "model.mtp_linear_proj.0.weight": _random(width, 2 * width),
        **_layer("model.mtp_block.0.", config),
    }
    changes = {
        "architectures": ["Ernie4_5_MoeForCausalLM"],
        "model_type": "ernie4_5_moe",
        "num_nextn_predict_layers": 1,
        "moe_num_experts": 2,
        "moe_k": 1,
        "moe_num_shared_experts": 0,
        "moe_intermediate_size": 64,
        "moe_layer_start_index": 1000,
        "moe_layer_end_index": 1001,
        "moe_layer_interval": 1,
        "use_bias": False,
        "rope_theta": config["rope_parameters"]["rope_theta"],
    }
    return replace(model, path=str(_written(folder, config | changes, tensors)))


def _config(model: ModelSpec) -> dict[str, Any]:
    return dict(json.loads((Path(model.path) / "config.json").read_text()))


def _written(folder: Path, config: Mapping[str, Any], tensors: dict[str, Tensor]) -> Path:
    (folder / "config.json").write_text(json.dumps(config))
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    return folder


def _layer(prefix: str, config: Mapping[str, Any], wide: int = 1) -> dict[str, Tensor]:
    """A decoder layer whose attention sees ``wide`` hidden states side by side."""
    width, inner = config["hidden_size"], config["intermediate_size"]
    queries, keys = (
        config[f"num_{n}_heads"] * config["head_dim"] for n in ("attention", "key_value")
    )
    return {
        f"{prefix}input_layernorm.weight": _ones(width),
        f"{prefix}post_attention_layernorm.weight": _ones(width),
        f"{prefix}self_attn.q_proj.weight": _random(queries, wide * width),
        f"{prefix}self_attn.k_proj.weight": _random(keys, wide * width),
        f"{prefix}self_attn.v_proj.weight": _random(keys, wide * width),
        f"{prefix}self_attn.o_proj.weight": _random(width, queries),
        f"{prefix}mlp.gate_proj.weight": _random(inner, width),
        f"{prefix}mlp.up_proj.weight": _random(inner, width),
        f"{prefix}mlp.down_proj.weight": _random(width, inner),
    }


def _neighbours(weight: Tensor, size: int) -> Tensor:
    """Rows of heads of ``size``, both halves interleaved."""
    rows, columns = weight.shape
    halves = weight.view(rows // size, 2, size // 2, columns)
    return halves.transpose(1, 2).reshape(rows, columns).contiguous()


def _random(*shape: int) -> Tensor:
    generator = torch.Generator().manual_seed(sum(shape))
    return (torch.randn(*shape, generator=generator) * 0.02).bfloat16()


def _ones(width: int) -> Tensor:
    return torch.ones(width, dtype=torch.bfloat16)
