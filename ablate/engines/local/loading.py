"""Loading a model the plain way."""

from __future__ import annotations

from typing import Any

import torch
from transformers import AutoModelForCausalLM
from transformers.utils.logging import disable_progress_bar

from ablate.errors import TrialError
from ablate.types import ModelSpec


def load_model(model: ModelSpec, device: str) -> Any:
    """A transformers model in eval mode, from safetensors unless pickle was asked for by name."""
    # its lock is a semaphore that a killed trial would leave behind
    disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            model.path,
            revision=model.revision,
            dtype=model.dtype,
            use_safetensors=None if model.allow_pickle else True,
            trust_remote_code=model.trust_remote_code,
        )
    except (OSError, ValueError) as error:
        raise TrialError(f"model {model.name!r} cannot be loaded: {error}") from error
    return loaded.to(device).eval()


def weight_bytes(model: Any) -> int:
    """Bytes of parameters and buffers as held, shared ones once."""
    held = {}
    for tensor in (*model.parameters(), *model.buffers()):
        storage = tensor.untyped_storage()
        held[storage.data_ptr()] = storage.nbytes()
    return sum(held.values())


def resolve_device(device: str) -> str:
    """``auto`` is the accelerator where there is one."""
    if device != "auto":
        return device
    return "cuda" if torch.cuda.is_available() else "cpu"
