"""transformers loads a checkpoint straight into bitsandbytes' layers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from transformers import AutoConfig, BitsAndBytesConfig

from ablate.engines.local.loading import pretrained
from ablate.types import ModelSpec

if TYPE_CHECKING:
    from ablate_bnb import Bnb


def load(options: Bnb, model: ModelSpec, device: str) -> Any:
    """The model in eval mode on ``device``, its linear layers quantized."""
    config = _config(options, _computed(model))
    loaded = pretrained(model, quantization_config=config, device_map=device)
    return loaded.eval()


def _config(options: Bnb, computed: torch.dtype) -> BitsAndBytesConfig:
    chosen: dict[str, Any] = (
        {"load_in_8bit": True, "llm_int8_threshold": options.threshold}
        if options.scheme == "int8"
        else {
            "load_in_4bit": True,
            "bnb_4bit_quant_type": options.scheme,
            "bnb_4bit_use_double_quant": options.double_quant,
            "bnb_4bit_compute_dtype": computed,
        }
    )
    return BitsAndBytesConfig(**chosen)  # type: ignore[no-untyped-call]


def _computed(model: ModelSpec) -> torch.dtype:
    """The dtype that the layers compute in: the recipe's, or the checkpoint's."""
    if model.dtype != "auto":
        found: torch.dtype = getattr(torch, model.dtype)
        return found
    config: Any = AutoConfig.from_pretrained(
        model.path, revision=model.revision, trust_remote_code=model.trust_remote_code
    )
    return config.dtype or torch.float32
