"""Decoder layers of the Llama family in fewer and larger operations.

What a layer computes stays the same, up to the order of floating-point operations: queries, keys
and values come from one product, additions and SiLU are done inside the products, and rotation is
applied to queries and keys together. The module tree stays as it is, and what a plugin has put in
place of a linear layer is called as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import rms_norm, silu

from ablate.engines.local.attention import PackedStep, attend_rows
from ablate.engines.local.packing import PackedWeight, pack

LAYERS = frozenset(
    f"transformers.models.{family}.modeling_{family}.{name}DecoderLayer"
    for family, name in (
        ("llama", "Llama"),
        ("qwen2", "Qwen2"),
        ("qwen3", "Qwen3"),
        ("mistral", "Mistral"),
    )
)


class FusedForward:
    """Stands in for a layer's ``forward`` while the engine's steps run."""

    def __init__(self, layer: Any) -> None:
        self._plain: Callable[..., Any] = layer.forward
        attention, mlp = layer.self_attn, layer.mlp
        self._attention, self._mlp = attention, mlp
        self._size: int = attention.head_dim
        self._window: int | None = _window(attention)
        self._norms = [_norm(layer.input_layernorm), _norm(layer.post_attention_layernorm)]
        named = [getattr(attention, name, None) for name in ("q_norm", "k_norm")]
        self._head_norms = [_norm(norm) for norm in named if norm is not None]
        self._qkv = pack(attention, ("q_proj", "k_proj", "v_proj"))
        self._out = pack(attention, ("o_proj",))
        self._gate, self._up = pack(mlp, ("gate_proj",)), pack(mlp, ("up_proj",))
        self._down = pack(mlp, ("down_proj",))
        self._heads = attention.q_proj.out_features // self._size
        self._kv_heads = attention.k_proj.out_features // self._size

    def __call__(
        self,
        hidden_states: Tensor,
        *args: Any,
        ablate_step: PackedStep | None = None,
        position_embeddings: tuple[Tensor, Tensor] | None = None,
        **kwargs: Any,
    ) -> Any:
        if ablate_step is None or position_embeddings is None:
            more = {"ablate_step": ablate_step} if ablate_step else {}
            known = {**kwargs, **more, "position_embeddings": position_embeddings}
            return self._plain(hidden_states, *args, **known)
        x = hidden_states[0]
        before, after = self._norms
        x = _add(
            self._out,
            self._attention.o_proj,
            self._attend(before(x), ablate_step, position_embeddings),
            x,
        )
        return _add(self._down, self._mlp.down_proj, self._activate(after(x)), x)[None]

    def _attend(self, x: Tensor, step: PackedStep, angles: tuple[Tensor, Tensor]) -> Tensor:
        """``[N, H * D]`` of the normed input ``[N, hidden]``."""
        qkv = self._project(x).view(len(x), -1, self._size)
        rotated, value = qkv[:, : -self._kv_heads], qkv[:, -self._kv_heads :]
        if self._head_norms:
            q, k = rotated[:, : self._heads], rotated[:, self._heads :]
            rotated = torch.cat((self._head_norms[0](q), self._head_norms[1](k)), 1)
        rotated = step.rotate(rotated, angles)
        query, key = rotated[:, : self._heads], rotated[:, self._heads :]
        return attend_rows(
            step,
            self._attention.layer_idx,
            query,
            key,
            value,
            self._attention.scaling,
            self._window,
        )

    def _project(self, x: Tensor) -> Tensor:
        if self._qkv:
            return self._qkv.linear(x)
        a = self._attention
        return torch.cat((a.q_proj(x), a.k_proj(x), a.v_proj(x)), -1)

    def _activate(self, x: Tensor) -> Tensor:
        gate = self._gate.silu(x) if self._gate else silu(self._mlp.gate_proj(x))
        return self._up.times(x, gate) if self._up else gate * self._mlp.up_proj(x)


def _add(packed: PackedWeight | None, linear: nn.Module, x: Tensor, residual: Tensor) -> Tensor:
    return packed.plus(x, residual) if packed else residual + linear(x)


def _norm(module: Any) -> Callable[[Tensor], Tensor]:
    weight, eps = module.weight, module.variance_epsilon
    shape = (weight.numel(),)
    return lambda x: rms_norm(x, shape, weight, eps)


def _window(attention: Any) -> int | None:
    """As transformers' layers hand it to attention: Qwen's have it, Mistral's look it up."""
    found = getattr(attention, "sliding_window", getattr(attention.config, "sliding_window", None))
    return None if found is None else int(found)


def fuse(model: Any) -> None:
    """Let the engine's steps run every layer that is known here in its fused form.

    An output layer that is the embedding as well stays as it is: packed, it would be held twice.
    """
    head, embedding = model.get_output_embeddings(), model.get_input_embeddings()
    if head is not None and head.weight is not embedding.weight:
        pack_output(model)
    for layer in _layers(model):
        if _known(layer) and not isinstance(layer.forward, FusedForward):
            layer.forward = FusedForward(layer)


def pack_output(model: Any) -> None:
    """Pack the output layer."""
    head = model.get_output_embeddings()
    name = next((n for n, module in model.named_children() if module is head), None)
    if name:
        pack(model, (name,))


def _layers(model: Any) -> list[Any]:
    return list(getattr(model.base_model, "layers", ()))


def _known(layer: Any) -> bool:
    kind = type(layer)
    rope = getattr(layer.self_attn.config, "rope_parameters", None) or {}
    return (
        f"{kind.__module__}.{kind.__qualname__}" in LAYERS
        and getattr(layer.self_attn.config, "hidden_act", "") == "silu"
        and rope.get("partial_rotary_factor", 1.0) == 1.0
    )
