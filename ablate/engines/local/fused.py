"""Models of the Llama family in fewer and larger operations.

What a model computes stays the same, up to the order of floating-point operations: queries, keys
and values come from one product, as do a layer's two branches, additions are done inside the
products, and rotation is applied to queries and keys together, by angles worked out once. The
module tree stays as it is, and what a plugin has put in place of a linear layer is called as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import layer_norm, rms_norm, silu

from ablate.engines.local.attention import PackedStep, attend_rows
from ablate.engines.local.batch import Batch
from ablate.engines.local.packing import PackedLinear, Product, is_onednns, join

FAMILIES = (("llama", "Llama"), ("qwen2", "Qwen2"), ("qwen3", "Qwen3"), ("mistral", "Mistral"))
MODELS = frozenset(
    f"transformers.models.{module}.modeling_{module}.{name}ForCausalLM" for module, name in FAMILIES
)
FIXED_ANGLES = (
    "default",
    "linear",
    "llama3",
    "yarn",
)  # those of other kinds change with the length
FEW = 64  # rows for which many small operations cost more than a large one
MORE_ANGLES = 256  # by which their table grows at least


class FusedModel:
    """Runs a known model's steps."""

    def __init__(self, model: Any) -> None:
        base = model.base_model
        self._embed = base.embed_tokens
        self._angles = Angles(base.rotary_emb)
        self._layers = [FusedLayer(layer) for layer in base.layers]
        self._norm = base.norm
        if not _tied(model):  # packed, an output layer that is the embedding would be held twice
            pack_output(model)
        self._head = model.get_output_embeddings()

    def __call__(self, batch: Batch, step: PackedStep) -> Tensor:
        """Logits ``[kept, V]``."""
        x: Tensor = self._embed(batch.input_ids[0])
        angles = self._angles(x, batch.positions[0], batch.longest)
        for layer in self._layers:
            x = layer(x, step, angles)
        logits: Tensor = self._head(self._norm(x.index_select(0, batch.logit_rows)))
        return logits


class Angles:
    """Cosines and signed sines of positions, kept where they do not depend on the length."""

    def __init__(self, rotary: Any) -> None:
        self._rotary = rotary
        self._fixed = getattr(rotary, "rope_type", "") in FIXED_ANGLES
        self._table: tuple[Tensor, Tensor] | None = None

    def __call__(self, like: Tensor, positions: Tensor, most: int) -> tuple[Tensor, Tensor]:
        """Each ``[N, 1, D]``, in the dtype of ``like``; ``positions`` are less than ``most``."""
        if not self._fixed:
            return self._compute(like, positions)
        known = len(self._table[0]) if self._table else 0
        if self._table is None or most > known:
            size = max(2 * known, most + MORE_ANGLES)
            self._table = self._compute(like, torch.arange(size, device=like.device))
        cos, sin = self._table
        return cos[positions], sin[positions]

    def _compute(self, like: Tensor, positions: Tensor) -> tuple[Tensor, Tensor]:
        cos, sin = self._rotary(like[None], position_ids=positions[None])
        sin = sin[0].clone()
        sin[:, : sin.shape[-1] // 2].neg_()  # so that the halves need only change places
        return cos[0, :, None], sin[:, None]


class FusedLayer:
    """One decoder layer."""

    def __init__(self, layer: Any) -> None:
        attention, mlp = layer.self_attn, layer.mlp
        self._attention, self._mlp = attention, mlp
        self._index: int = attention.layer_idx
        self._size: int = attention.head_dim
        self._scaling: float = attention.scaling
        self._window = _window(attention)
        self._before = _norm(layer.input_layernorm)
        self._after = _norm(layer.post_attention_layernorm)
        named = [getattr(attention, name, None) for name in ("q_norm", "k_norm")]
        self._head_norms = [_norm(norm) for norm in named if norm is not None]
        self._qkv = join(attention, ("q_proj", "k_proj", "v_proj"))
        self._out = join(attention, ("o_proj",))
        self._gate_up = join(mlp, ("gate_proj", "up_proj"))
        self._down = join(mlp, ("down_proj",))
        heads, kv_heads = attention.config.num_attention_heads, attention.config.num_key_value_heads
        self._split = (heads, kv_heads, kv_heads)
        self._rotated: int = heads + kv_heads

    def __call__(self, x: Tensor, step: PackedStep, angles: tuple[Tensor, Tensor]) -> Tensor:
        """``[N, hidden]`` of the same."""
        attended = self._attend(self._before(x), step, angles)
        x = _add(self._out, self._attention.o_proj, attended, x)
        return _add(self._down, self._mlp.down_proj, self._activate(self._after(x)), x)

    def _attend(self, x: Tensor, step: PackedStep, angles: tuple[Tensor, Tensor]) -> Tensor:
        """``[N, H * D]`` of the normed input ``[N, hidden]``."""
        qkv = self._project(x).view(len(x), -1, self._size)
        query, key, value = qkv.split_with_sizes(self._split, 1)
        if self._head_norms:
            query, key = self._head_norms[0](query), self._head_norms[1](key)
            qkv = torch.cat((query, key, value), 1)
            query, key, value = qkv.split_with_sizes(self._split, 1)
        _rotate(qkv[:, : self._rotated], angles)
        return attend_rows(step, self._index, query, key, value, self._scaling, self._window)

    def _project(self, x: Tensor) -> Tensor:
        if self._qkv:
            return self._qkv.linear(x)
        a = self._attention
        return torch.cat((a.q_proj(x), a.k_proj(x), a.v_proj(x)), -1)

    def _activate(self, x: Tensor) -> Tensor:
        if not self._gate_up:
            gated: Tensor = silu(self._mlp.gate_proj(x)) * self._mlp.up_proj(x)
            return gated
        gate, up = self._gate_up.linear(x).chunk(2, -1)
        return silu(gate, inplace=True).mul_(up)


def _rotate(x: Tensor, angles: tuple[Tensor, Tensor]) -> None:
    """Rotary embedding (Su et al. 2021) of ``[N, heads, D]``, in place."""
    cos, sin = angles
    turned = x.roll(x.shape[-1] // 2, -1)
    x.mul_(cos).addcmul_(turned, sin)


def _add(product: Product | None, linear: nn.Module, x: Tensor, residual: Tensor) -> Tensor:
    return product.plus(x, residual) if product else residual + linear(x)


def _norm(module: Any) -> Callable[[Tensor], Tensor]:
    weight, eps, size = module.weight, module.variance_epsilon, module.weight.numel()
    if not is_onednns(weight.dtype, weight.device):
        return lambda x: rms_norm(x, (size,), weight, eps)
    twice = torch.cat((weight, weight)).detach()
    signs = weight.new_tensor([[1.0], [-1.0]])

    def norm(x: Tensor) -> Tensor:
        if len(x) > FEW:
            return rms_norm(x, (size,), weight, eps)
        # x and -x have no mean, so that their LayerNorm, one operation, is the RMSNorm of x
        both = (x[..., None, :] * signs).flatten(-2)
        return layer_norm(both, (2 * size,), twice, None, eps)[..., :size]

    return norm


def _window(attention: Any) -> int | None:
    """As transformers' layers hand it to attention: Qwen's have it, Mistral's look it up."""
    found = getattr(attention, "sliding_window", getattr(attention.config, "sliding_window", None))
    return None if found is None else int(found)


def fused(model: Any) -> FusedModel | None:
    """The model in its fused form; None where it is not known here, or others listen in."""
    kind = type(model)
    if f"{kind.__module__}.{kind.__qualname__}" not in MODELS or not _plain(model):
        return None
    config = model.config
    rope = getattr(config, "rope_parameters", None) or {}
    if config.hidden_act != "silu" or rope.get("partial_rotary_factor", 1.0) != 1.0:
        return None
    return FusedModel(model)


def _plain(model: Any) -> bool:
    """Whether nobody has changed, or hung anything on, a module that is gone round."""
    layers = model.base_model.layers
    parts = [part for layer in layers for part in (layer, layer.self_attn, layer.mlp)]
    return not any(
        "forward" in vars(module)
        or module._forward_hooks
        or module._forward_pre_hooks
        or module._compiled_call_impl is not None
        for module in (model, model.base_model, *parts)
    )


def _tied(model: Any) -> bool:
    head = model.get_output_embeddings()
    if isinstance(head, PackedLinear):  # asking it for its weight would unpack it
        return False
    return head.weight is model.get_input_embeddings().weight


def pack_output(model: Any) -> None:
    """Pack the output layer, where that pays."""
    head = model.get_output_embeddings()
    name = next((n for n, module in model.named_children() if module is head), None)
    if name:
        join(model, (name,))
