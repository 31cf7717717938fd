"""torchao's configurations, and the layers that they are applied to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn
from torchao.quantization import (
    Float8DynamicActivationFloat8WeightConfig,
    Float8WeightOnlyConfig,
    Int4WeightOnlyConfig,
    Int8DynamicActivationInt8WeightConfig,
    Int8WeightOnlyConfig,
    PerRow,
    quantize_,
)

from ablate.errors import TrialError
from ablate.quantization.linears import plain_linears

PLAIN: Mapping[str, Callable[[], Any]] = {
    "int8": Int8WeightOnlyConfig,
    "int8_dynamic": Int8DynamicActivationInt8WeightConfig,
    "float8": Float8WeightOnlyConfig,
    # a scale for the whole tensor would make an answer depend on its neighbours
    "float8_dynamic": lambda: Float8DynamicActivationFloat8WeightConfig(granularity=PerRow()),
}


def quantize(model: Any, scheme: str, group_size: int, compiled: bool) -> None:
    """Quantize a loaded model's linear layers in place. Raises TrialError where they cannot be."""
    layers = plain_linears(model)
    _check(model, layers, scheme, group_size)
    chosen = set(layers.values())
    config = _int4(model.device, group_size) if scheme == "int4" else PLAIN[scheme]()
    try:
        quantize_(model, config, filter_fn=lambda module, _: module in chosen)
    except (RuntimeError, NotImplementedError, AssertionError, ValueError, ImportError) as error:
        raise TrialError(f"torchao cannot quantize to {scheme}: {error}") from error
    if compiled:
        for layer in chosen:
            layer.compile(dynamic=True)


def _check(model: Any, layers: Mapping[str, nn.Linear], scheme: str, group_size: int) -> None:
    on_cpu = model.device.type == "cpu"
    if scheme == "float8_dynamic" and on_cpu:
        raise TrialError(
            "torchao's float8_dynamic needs a GPU; on a CPU use float8 or int8_dynamic"
        )
    if scheme != "int4":
        return
    if model.dtype != torch.bfloat16:
        raise TrialError("torchao's int4 kernel computes in bfloat16; set model.dtype=bfloat16")
    for name, layer in layers.items():
        if layer.in_features % group_size:
            raise TrialError(
                f"torchao: group_size {group_size} does not divide the {layer.in_features} inputs "
                f"of {name}"
            )


def _int4(device: torch.device, group_size: int) -> Any:
    """Those that need torch's own kernels: torchao's usual int4 wants a library that PyPI lacks."""
    if device.type != "cpu":
        packing: Any = "tile_packed_to_4d"
        return Int4WeightOnlyConfig(group_size=group_size, int4_packing_format=packing)
    from torchao.prototype.quantization.int4 import PrototypeInt4WeightOnlyConfig

    return PrototypeInt4WeightOnlyConfig(group_size=group_size)
