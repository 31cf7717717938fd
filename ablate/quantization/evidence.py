"""What shows that a model's weights are quantized."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from typing import Any

from torch import nn

from ablate.types import Evidence


def evidence(plugin: str, model: Any, bits: int) -> Evidence:
    """Counts quantized against all linear layers; the output layer is not one of them."""
    head = model.get_output_embeddings()
    quantized = [m for m in model.modules() if _codes(m)]
    plain = [m for m in model.modules() if isinstance(m, nn.Linear) and m is not head]
    linears = {*quantized, *plain}
    held, all_held = _bytes(quantized), _bytes([model])
    weights = sum(m.in_features * m.out_features for m in quantized)
    kernel = type(quantized[0]).__name__ if quantized else "none"
    return Evidence(
        plugin,
        bool(quantized),
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


def _codes(module: nn.Module) -> bool:
    """Whether a layer holds integer codes: one of ablate's layers, or one of gptqmodel's."""
    own = dict(module.named_buffers(recurse=False))
    return "packed" in own or "qweight" in own


def _bytes(modules: Iterable[nn.Module]) -> int:
    tensors = (chain(m.parameters(), m.buffers()) for m in modules)
    return sum(t.nbytes for t in chain.from_iterable(tensors))
