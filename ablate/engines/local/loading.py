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
    return pretrained(model).to(device).eval()


def pretrained(model: ModelSpec, **more: Any) -> Any:
    """The model as transformers loads it; ``more`` is handed on. Raises TrialError if it cannot."""
    # its lock is a semaphore that a killed trial would leave behind
    disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        return AutoModelForCausalLM.from_pretrained(
            model.path,
            revision=model.revision,
            dtype=model.dtype,
            use_safetensors=None if model.allow_pickle else True,
            trust_remote_code=model.trust_remote_code,
            **more,
        )
    except (OSError, ValueError) as error:
        raise TrialError(f"model {model.name!r} cannot be loaded: {error}") from error


def resolve_device(device: str) -> str:
    """``auto`` is the accelerator where there is one. Raises TrialError for one that is not."""
    seen = torch.cuda.device_count()
    if device == "auto":
        return "cuda" if seen else "cpu"
    try:
        asked = torch.device(device)
    except RuntimeError as error:
        raise TrialError(f"engine.local.device {device!r} is no device: {error}") from error
    if asked.type == "cuda" and (asked.index or 0) >= seen:
        raise TrialError(
            f"engine.local.device is {device!r}, and torch {torch.__version__} sees {seen} GPUs: "
            "install a build of torch for your GPU, or set engine.local.device=cpu"
        )
    return device
