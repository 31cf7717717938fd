"""What shows that a model's weights are quantized."""

from __future__ import annotations

from typing import Any

from torch import nn

from ablate.quantization.linears import plain_linears
from ablate.tensors import held_bytes
from ablate.types import Evidence


def of_model(plugin: str, model: Any, bits: int) -> Evidence:
    """Counts quantized against all linear layers, of which the output layer is not one; applied
    if none was left out.
    """
    quantized = [m for m in model.modules() if _codes(m)]
    linears = {*quantized, *plain_linears(model).values()}
    held, all_held = held_bytes(*quantized), held_bytes(model)
    weights = sum(m.in_features * m.out_features for m in quantized)
    kernel = _kernel(quantized[0]) if quantized else "none"
    return Evidence(
        plugin,
        0 < len(quantized) == len(linears),
        f"{len(quantized)} of {len(linears)} linear layers hold {bits}-bit weights in {kernel}, "
        f"{held:,} bytes of {all_held:,} for the whole model",
        {
            "quantized_linears": len(quantized),
            "linears": len(linears),
            "bits": bits,
            "bits_per_weight": 8 * held / weights if weights else 0.0,
            "quantized_weight_bytes": held,
            "weight_bytes": all_held,
        },
    )


LIBRARIES = ("torchao.", "bitsandbytes.")


def _codes(module: nn.Module) -> bool:
    """Whether a layer holds codes: one of ablate's layers, of gptqmodel's, or one whose weight is
    a tensor of torchao or of bitsandbytes.
    """
    own = dict(module.named_buffers(recurse=False))
    return "packed" in own or "qweight" in own or _of_library(module)


def _of_library(module: nn.Module) -> bool:
    weight = getattr(module, "weight", None)
    held = getattr(weight, "data", weight)  # torchao's tensors hide in a plain Parameter
    return any(type(t).__module__.startswith(LIBRARIES) for t in (weight, held))


def _kernel(module: nn.Module) -> str:
    """The layer's class; of a plain linear layer that of its weight, which chooses the kernel."""
    plain = type(module) is nn.Linear
    return type(module.weight.data if plain else module).__name__
