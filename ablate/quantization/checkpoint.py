"""Loads a GPTQ, AWQ or compressed-tensors checkpoint for inference."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from accelerate import (  # type: ignore[import-untyped, import-not-found, unused-ignore]
    init_empty_weights,
)
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForCausalLM, GenerationConfig

from ablate.errors import TrialError
from ablate.quantization import compressed
from ablate.quantization.activations import FLOAT8
from ablate.quantization.formats import Codes, packing, take
from ablate.quantization.int8 import Int8Linear
from ablate.quantization.linears import Int4Linear, Reordered


def load(folder: Path, dtype: str, device: str) -> Any:
    """The model in eval mode on ``device``, computing in ``dtype`` (``auto``: the checkpoint's).

    The layers are ablate's, of torch's own kernels, so that the quantizing library stays out of the
    measured process, builds nothing in it and loads nothing into it.
    """
    config = AutoConfig.from_pretrained(folder, local_files_only=True)
    computed = config.dtype if dtype == "auto" else getattr(torch, dtype)
    how = _plain(config.quantization_config)
    del config.quantization_config  # else transformers would ask a library for the layers
    tensors = _read(folder, computed)
    with init_empty_weights():
        model = _new(config, computed)
    for name, layer in _layers(tensors, how, computed, torch.device(device)).items():
        model.set_submodule(name, layer, strict=True)
    _fill(model, tensors, folder)
    model.to(device)
    if (folder / "generation_config.json").exists():
        model.generation_config = GenerationConfig.from_pretrained(folder, local_files_only=True)
    return model.eval().requires_grad_(False)


def _plain(config: Any) -> dict[str, Any]:
    return dict(config) if isinstance(config, dict) else dict(config.to_dict())


def _new(config: Any, dtype: torch.dtype) -> Any:
    return AutoModelForCausalLM.from_config(config, dtype=dtype)  # type: ignore[no-untyped-call]


def _read(folder: Path, dtype: torch.dtype) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = {}
    for file in sorted(folder.glob("*.safetensors")):
        tensors |= load_file(file)
    return {
        n: t.to(dtype) if t.is_floating_point() and t.dtype != FLOAT8 else t
        for n, t in tensors.items()
    }


def _layers(
    tensors: dict[str, Tensor], how: dict[str, Any], dtype: torch.dtype, device: torch.device
) -> dict[str, nn.Module]:
    """A quantized layer for each name where the checkpoint has codes; takes their tensors.

    Codes are unpacked on the CPU, and packed again where they are to be.
    """
    if how["quant_method"] == compressed.METHOD:
        return compressed.layers(tensors, compressed.compression(how), dtype, device)
    packed = packing(how)
    names = [n.removesuffix(".qweight") for n in tensors if n.endswith(".qweight")]
    return {name: _of_codes(take(tensors, name, packed).to(device), packed.bits) for name in names}


def _of_codes(found: Codes, bits: int) -> nn.Module:
    kind = Int4Linear if bits <= 4 else Int8Linear
    inner = kind(found.codes, found.zeros, found.scales, found.bias)
    return inner if found.order is None else Reordered(inner, found.order)


def _fill(model: Any, tensors: dict[str, Tensor], folder: Path) -> None:
    _, unexpected = model.load_state_dict(tensors, strict=False, assign=True)
    model.tie_weights()
    missing = [n for n, p in model.named_parameters() if p.is_meta]
    if unexpected or missing:
        raise TrialError(
            f"the quantized model in {folder} does not fit its architecture: "
            f"missing {missing[:3]}, unexpected {unexpected[:3]}"
        )
