"""What the layers of a served model hold, said where they are.

Runs in processes of vLLM and SGLang, whose layers have one origin: it is found by its folder on
their ``PYTHONPATH`` and imports nothing of ablate.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

# Tensors in which some format keeps codes; floats of 8 bits and integers elsewhere are codes, too.
CODES = frozenset({"qweight", "weight_packed", "packed"})
CODE_DTYPES = frozenset(
    getattr(torch, name)
    for name in ("int8", "uint8", "int32", "float8_e4m3fn", "float8_e5m2")
    if hasattr(torch, name)
)


@dataclass(frozen=True)
class Layers:
    """``linears``: how many linear layers each kernel runs; ``quantized``: how many hold codes."""

    linears: dict[str, int]
    quantized: int
    weight_bytes: int


def look(model: nn.Module, *drafting: nn.Module) -> Layers:
    """Of ``model``; the bytes are those of models that draft for it, too, what they share once."""
    linears = [m for m in model.modules() if hasattr(m, "quant_method") and _is_linear(m)]
    return Layers(
        linears=dict(Counter(map(_kernel, linears))),
        quantized=sum(map(_has_codes, linears)),
        weight_bytes=_bytes([model, *drafting]),
    )


def held_bytes(tensors: Iterable[torch.Tensor]) -> int:
    """Bytes of tensors' elements."""
    return sum(map(_held, tensors))


def _is_linear(module: nn.Module) -> bool:
    names = {cls.__name__ for cls in type(module).__mro__}
    return "LinearBase" in names


def _kernel(module: Any) -> str:
    """What multiplies by the weights; 4-bit layers that round their inputs to 8 bits say so."""
    parts = [type(part).__name__ for part in (module.quant_method, *_inner(module))]
    return "/".join(parts) + (" (w4a8)" if getattr(module, "use_w4a8", False) else "")


def _inner(module: Any) -> Iterator[Any]:
    """compressed-tensors' scheme and the kernel that a method or scheme has chosen."""
    scheme = getattr(module, "scheme", None)
    if scheme is not None:
        yield scheme
    kernel = getattr(scheme or module.quant_method, "kernel", None)
    if kernel is not None:
        yield kernel


def _has_codes(module: nn.Module) -> bool:
    if any(getattr(part, "dnnl_handler", None) is not None for part in _inner(module)):
        return True  # of 8-bit integers, packed by oneDNN
    for name, tensor in _own(module):
        if name in CODES or (name.startswith("weight") and tensor.dtype in CODE_DTYPES):
            return True
    return False


def _own(module: nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    yield from module.named_parameters(recurse=False)
    yield from module.named_buffers(recurse=False)


def _bytes(models: Sequence[nn.Module]) -> int:
    """Bytes of weights: parameters, buffers and what CPU kernels packed; shared storage once."""
    seen: dict[int, int] = {}
    for tensor in [t for model in models for t in [*model.parameters(), *model.buffers()]]:
        try:
            storage = tensor.untyped_storage()
            seen[storage.data_ptr() or id(tensor)] = storage.nbytes()
        except (RuntimeError, NotImplementedError):  # oneDNN's packed tensors have no storage
            seen[id(tensor)] = _held(tensor)
    modules = {module for model in models for module in model.modules()}
    return sum(seen.values()) + sum(map(_packed, modules))


def _packed(module: Any) -> int:
    """On a CPU, vLLM keeps linear weights in oneDNN's layout, outside the module's parameters."""
    width = getattr(getattr(module, "params_dtype", None), "itemsize", 0)
    cells = getattr(getattr(module, "cpu_linear", None), "__closure__", None) or ()
    total = 0
    for held in (cell.cell_contents for cell in cells):
        if isinstance(held, torch.Tensor):
            total += _held(held)
        elif hasattr(held, "handler_tensor"):
            total += held.n * held.k * width
    if hasattr(module, "quant_method"):
        for part in _inner(module):
            handler = getattr(part, "dnnl_handler", None)  # of 8-bit integers
            total += handler.n * handler.k if handler is not None else 0
    return total


def _held(tensor: torch.Tensor) -> int:
    return tensor.numel() * tensor.element_size()
