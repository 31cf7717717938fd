"""Linear layers whose weights are kept as oneDNN wants them.

``F.linear`` re-orders a bfloat16 weight at every call on a CPU. Packed once, the product takes 0.6
to 0.9 of the time (``python -m benchmarks.local_speed``), and what follows it (an addition, a
product, SiLU) is done before the result leaves the registers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

DTYPES = (torch.bfloat16, torch.float32)
ROWS = 32  # for so many rows oneDNN chooses the layout; others take it nearly as well


class PackedWeight:
    """The weights of linear layers that have the same input, one below the other."""

    def __init__(self, layers: Sequence[nn.Linear]) -> None:
        dense = torch.cat([layer.weight.detach() for layer in layers])
        self.held: Tensor = torch.ops.mkldnn._reorder_linear_weight(dense, ROWS)
        self.bias = _biases(layers)

    def linear(self, x: Tensor) -> Tensor:
        """``x W^T + b`` of ``x`` [m, K]; in the other methods the same, and then more."""
        y: Tensor = torch.ops.mkldnn._linear_pointwise(x, self.held, self.bias, "none", [], "")
        return y

    def silu(self, x: Tensor) -> Tensor:
        """SiLU of it."""
        y: Tensor = torch.ops.mkldnn._linear_pointwise(x, self.held, self.bias, "swish", [], "")
        return y

    def times(self, x: Tensor, other: Tensor) -> Tensor:
        """It times ``other``, element by element."""
        y: Tensor = torch.ops.mkldnn._linear_pointwise.binary(x, other, self.held, self.bias, "mul")
        return y

    def plus(self, x: Tensor, other: Tensor) -> Tensor:
        """It and ``other`` added."""
        y: Tensor = torch.ops.mkldnn._linear_pointwise.binary(x, other, self.held, self.bias, "add")
        return y


class PackedLinear(nn.Linear):
    """A linear layer whose weight is a part of a packed one.

    From outside it is the layer that it replaces; reading ``weight`` unpacks a copy.
    """

    def __init__(self, layer: nn.Linear, packed: PackedWeight, start: int) -> None:
        nn.Module.__init__(self)
        self.in_features, self.out_features = layer.in_features, layer.out_features
        self._packed = packed
        self._rows = slice(start, start + self.out_features)
        self.register_buffer("held", packed.held, persistent=False)
        self.bias = layer.bias

    @property
    def weight(self) -> Tensor:  # type: ignore[override]
        return self._packed.held.to_dense()[self._rows]

    def forward(self, input: Tensor) -> Tensor:
        y = self._packed.linear(input.reshape(-1, self.in_features))[:, self._rows]
        return y.reshape(*input.shape[:-1], self.out_features)


def can_pack(module: nn.Module) -> bool:
    """Whether it is a plain linear layer on a CPU, on which nobody else has hung anything."""
    if type(module) is not nn.Linear or module._forward_hooks or module._forward_pre_hooks:
        return False
    weight: Any = module.weight  # of a library it may be a tensor of its own kind
    if type(weight) is not nn.Parameter or type(weight.data) is not Tensor:
        return False
    return bool(weight.device.type == "cpu" and weight.dtype in DTYPES)


def pack(owner: nn.Module, names: Sequence[str]) -> PackedWeight | None:
    """Pack the linear layers ``names`` of a module together and put them in place of those.

    None, and nothing is done, if one of them cannot be packed.
    """
    available: Any = torch.backends.mkldnn.is_available
    layers = [getattr(owner, name) for name in names]
    if not available() or not all(map(can_pack, layers)):
        return None
    packed = PackedWeight(layers)
    start = 0
    for name, layer in zip(names, layers, strict=True):
        setattr(owner, name, PackedLinear(layer, packed, start))
        start += layer.out_features
    return packed


def _biases(layers: Sequence[nn.Linear]) -> Tensor | None:
    known: list[Tensor | None] = [layer.bias for layer in layers]
    if all(bias is None for bias in known):
        return None
    return torch.cat(
        [
            layer.weight.new_zeros(layer.out_features) if bias is None else bias.detach()
            for layer, bias in zip(layers, known, strict=True)
        ]
    )
