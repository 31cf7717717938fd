"""A model that is another without some of its layers, and shares all that it has with it."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy, deepcopy
from typing import Any

from torch import nn

from ablate.engines.local.layers import decoder_layers

Kept = Callable[[int], list[int]]


def shallow(model: Any, kept: Kept) -> Any:
    """``model`` with the layers that ``kept(how many there are)`` gives, in their order.

    No weight is copied. Attention is told its layer's new number, which is its place in a KV store.
    """
    layers = decoder_layers(model)
    chosen = kept(len(layers))
    config = _config(model.config, chosen)
    renumbered = [_renumbered(layers[old], new) for new, old in enumerate(chosen)]
    body = getattr(model, model.base_model_prefix)
    inner = _with(body, config, layers=nn.ModuleList(renumbered))
    return _with(model, config, **{model.base_model_prefix: inner})


def _config(config: Any, chosen: list[int]) -> Any:
    new = deepcopy(config)
    text = new.get_text_config()
    kinds = getattr(text, "layer_types", None)
    if kinds is not None:  # models look up by it which layers see a window
        text.layer_types = [kinds[i] for i in chosen]
    text.num_hidden_layers = len(chosen)
    return new


def _with(module: Any, config: Any, **children: nn.Module) -> Any:
    new = _copy(module)
    new.config = config
    new._modules.update(children)
    return new


def _renumbered(module: nn.Module, number: int) -> Any:
    """A layer, new as far down as modules that know its number."""
    new: Any = _copy(module)
    if module._compiled_call_impl is not None:
        # a copy is not compiled; that its `forward` is its own keeps the engine from going round it
        # and from packing, for the copy, weights that the compiled layers use
        new.forward = new.forward
    if hasattr(new, "layer_idx"):
        new.layer_idx = number
    for name, child in module.named_children():
        if any(hasattr(part, "layer_idx") for part in child.modules()):
            new._modules[name] = _renumbered(child, number)
    made: nn.Module = new
    return made


def _copy(module: Any) -> Any:
    """Another module with the same parameters, buffers and, to begin with, children."""
    new = copy(module)
    new._modules = dict(module._modules)
    return new
