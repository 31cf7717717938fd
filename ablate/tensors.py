"""How many bytes a model's weights take as they are held, quantized ones included."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any

from torch import Tensor, nn

BITSANDBYTES = "bitsandbytes."


def held_bytes(*modules: nn.Module) -> int:
    """Bytes of parameters and buffers as held, each storage once.

    Tensor subclasses (torchao) count as what they hold, not as the dtype that they show. The scales
    that bitsandbytes keeps beside its weights, in objects of its own, count as well. What oneDNN
    packs shows no storage and counts as its elements.
    """
    held = {}
    for tensor in chain.from_iterable(_tensors(module) for module in modules):
        if tensor.is_mkldnn:
            held[id(tensor)] = tensor.numel() * tensor.element_size()
        else:
            storage = tensor.untyped_storage()
            held[storage.data_ptr()] = storage.nbytes()
    return sum(held.values())


def _tensors(module: nn.Module) -> Iterator[Tensor]:
    for part in module.modules():
        for tensor in (*part.parameters(recurse=False), *part.buffers(recurse=False)):
            yield from _inside(tensor)
            yield from _beside(tensor)
        yield from _beside(part)


def _inside(tensor: Tensor) -> Iterator[Tensor]:
    if not hasattr(tensor, "__tensor_flatten__"):
        yield tensor
        return
    names, _ = tensor.__tensor_flatten__()
    for name in names:
        yield from _inside(getattr(tensor, name))


def _beside(owner: Any) -> Iterator[Tensor]:
    """Tensors in the objects of bitsandbytes that hang on a weight or a layer."""
    ours = type(owner).__module__.startswith(BITSANDBYTES)
    for value in vars(owner).values():
        if ours and isinstance(value, Tensor) and not isinstance(value, nn.Parameter):
            yield value
        elif type(value).__module__.startswith(BITSANDBYTES) and not isinstance(value, Tensor):
            yield from _beside(value)
