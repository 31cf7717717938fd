"""Where a transformers model keeps its decoder layers."""

from __future__ import annotations

from typing import Any

from torch import nn

from ablate.errors import TrialError


def decoder_layers(model: Any) -> nn.ModuleList:
    """The layers in their order. Raises TrialError for a model that keeps them elsewhere."""
    body = getattr(model, model.base_model_prefix, None)
    layers = getattr(body, "layers", None)
    if not isinstance(layers, nn.ModuleList):
        raise TrialError(
            f"the decoder layers of a model are looked for in its {model.base_model_prefix}.layers,"
            f" and {type(model).__name__} has none there"
        )
    return layers
