"""Linear layers of the same input as one product, with what is added to it.

``F.linear`` re-orders a bfloat16 weight at every call on a CPU. Packed once as oneDNN wants it, the
product takes 0.6 to 0.9 of the time (``python -m benchmarks.local_speed``), and what is added to it
is added before the result leaves the registers. Small float32 weights are better off as they are: a
call of oneDNN costs more than they do.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own name for it

DTYPES = (torch.bfloat16, torch.float32)
SMALL = 1 << 18  # elements of a float32 weight under which packing does not pay
ROWS = 32  # for so many rows oneDNN chooses the layout; others take it nearly as well


def is_onednns(dtype: torch.dtype, device: torch.device) -> bool:
    """Whether oneDNN makes the products: it compiles them for every shape, of dense operands."""
    return dtype == torch.bfloat16 and device.type == "cpu"


class Product(ABC):
    """``x W^T + b`` of ``x`` [m, K], and more; W has the weights of layers one below the other."""

    @abstractmethod
    def linear(self, x: Tensor) -> Tensor:
        """It alone."""

    def plus(self, x: Tensor, other: Tensor) -> Tensor:
        """It and ``other`` added."""
        return self.linear(x).add_(other)


class StackedWeight(Product):
    """Held as torch holds it: the layers' weights become views of it."""

    def __init__(self, layers: Sequence[nn.Linear]) -> None:
        self._weight = layers[0].weight.detach()
        if len(layers) > 1:
            self._weight = torch.cat([layer.weight.detach() for layer in layers])
            sizes = [layer.out_features for layer in layers]
            for layer, part in zip(layers, torch.split(self._weight, sizes), strict=True):
                layer.weight.data = part
        self._bias = _biases(layers)

    def linear(self, x: Tensor) -> Tensor:
        return F.linear(x, self._weight, self._bias)


class PackedWeight(Product):
    """Held as oneDNN wants it."""

    def __init__(self, layers: Sequence[nn.Linear]) -> None:
        dense = torch.cat([layer.weight.detach() for layer in layers])
        self.held: Tensor = torch.ops.mkldnn._reorder_linear_weight(dense, ROWS)
        self.bias = _biases(layers)
        overloads = torch.ops.mkldnn._linear_pointwise
        self._linear, self._plus = overloads.default, overloads.binary  # looked up once

    def linear(self, x: Tensor) -> Tensor:
        y: Tensor = self._linear(x, self.held, self.bias, "none", [], "")
        return y

    def plus(self, x: Tensor, other: Tensor) -> Tensor:
        y: Tensor = self._plus(x, other, self.held, self.bias, "add")
        return y


class Joined(Product):
    """Held by a layer of another kind that has the outputs of all."""

    def __init__(self, whole: nn.Module) -> None:
        self._whole = whole

    def linear(self, x: Tensor) -> Tensor:
        y: Tensor = self._whole(x)
        return y


class PackedLinear(nn.Linear):
    """A linear layer whose weight is a part of a packed one.

    From outside it is the layer that it replaces; reading ``weight`` unpacks a copy.
    """

    def __init__(self, layer: nn.Linear, packed: PackedWeight, start: int) -> None:
        nn.Module.__init__(self)
        self.in_features, self.out_features = layer.in_features, layer.out_features
        self.packed = packed
        self._rows = slice(start, start + self.out_features)
        self.register_buffer("held", packed.held, persistent=False)
        self.bias = layer.bias

    @property
    def weight(self) -> Tensor:  # type: ignore[override]
        return self.packed.held.to_dense()[self._rows]

    def forward(self, input: Tensor) -> Tensor:
        y = self.packed.linear(input.reshape(-1, self.in_features))[:, self._rows]
        return y.reshape(*input.shape[:-1], self.out_features)


def _is_plain(module: nn.Module) -> bool:
    """Whether it is a linear layer of torch's own, on which nobody else has hung anything."""
    if type(module) is not nn.Linear or module._forward_hooks or module._forward_pre_hooks:
        return False
    weight: Any = module.weight  # of a library it may be a tensor of its own kind
    return type(weight) is nn.Parameter and type(weight.data) is Tensor


def join(owner: nn.Module, names: Sequence[str]) -> Product | None:
    """Make one product of the linear layers ``names`` of a module.

    None, and nothing is done, where one of them is neither torch's own nor of a kind that says how
    it is joined with others (``joined_with``). Made once: models that share a module share its
    products.
    """
    layers = [getattr(owner, name) for name in names]
    if all(isinstance(layer, PackedLinear) for layer in layers):
        return _packed_before(layers)
    plain = all(map(_is_plain, layers))
    if plain and _worth_packing(layers):
        return pack(owner, names)
    made: dict[tuple[str, ...], Product | None] = vars(owner).setdefault("_ablate_products", {})
    if tuple(names) not in made:
        made[tuple(names)] = StackedWeight(layers) if plain else _joined(layers)
    return made[tuple(names)]


def _joined(layers: Sequence[nn.Module]) -> Product | None:
    """By the layers themselves, if nobody listens in on one of them."""
    join_with: Any = getattr(layers[0], "joined_with", None)
    heard = any(layer._forward_hooks or layer._forward_pre_hooks for layer in layers)
    if join_with is None or len(layers) == 1 or heard:
        return None
    whole = join_with(layers[1:])
    return None if whole is None else Joined(whole)


def _worth_packing(layers: Sequence[nn.Linear]) -> bool:
    available: Any = torch.backends.mkldnn.is_available
    weight = layers[0].weight
    if not available() or weight.device.type != "cpu" or weight.dtype not in DTYPES:
        return False
    return weight.dtype == torch.bfloat16 or sum(w.weight.numel() for w in layers) >= SMALL


def pack(owner: nn.Module, names: Sequence[str]) -> PackedWeight:
    """Put packed layers in place of a module's linear layers ``names``."""
    layers = [getattr(owner, name) for name in names]
    packed = PackedWeight(layers)
    start = 0
    for name, layer in zip(names, layers, strict=True):
        setattr(owner, name, PackedLinear(layer, packed, start))
        start += layer.out_features
    return packed


def _packed_before(layers: Sequence[PackedLinear]) -> PackedWeight | None:
    held = layers[0].packed
    rows = sum(layer.out_features for layer in layers)
    together = all(layer.packed is held for layer in layers) and held.held.shape[0] == rows
    return held if together else None


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
