"""Attention over the KV store, plugged into transformers' ``AttentionInterface``."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, PreTrainedModel
from transformers.masking_utils import AttentionMaskInterface

from ablate.engines.local.batch import Batch
from ablate.engines.local.interfaces import KVStore
from ablate.errors import TrialError

NAME = "ablate"
_UNSUPPORTED = ("softcap", "s_aux")


class PackedStep:
    """What the attention of one forward pass needs; travels as a keyword through the model."""

    def __init__(self, batch: Batch, cache: KVStore) -> None:
        self.batch = batch
        self.cache = cache
        self.positions = [cache.positions(group) for group in batch.groups]


def attend(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,  # noqa: ARG001 - transformers' signature; groups have their own
    scaling: float | None = None,
    ablate_step: PackedStep | None = None,
    sliding_window: int | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """Write the step's keys and values, and attend over all that the store holds.

    ``query`` is ``[1, H, N, D]``, ``key`` and ``value`` ``[1, G, N, D]``; returns ``[1, N, H, D]``.
    """
    if ablate_step is None:
        raise TrialError("the model's layers do not pass keywords on to attention")
    refused = [name for name in _UNSUPPORTED if kwargs.get(name) is not None]
    if refused:
        raise TrialError(f"engine 'local' does not support attention with {', '.join(refused)}")
    cache = ablate_step.cache
    layer: int = module.layer_idx  # type: ignore[assignment]
    cache.append(layer, key[0].transpose(0, 1), value[0].transpose(0, 1))
    heads, kv_heads, size = query.shape[1], key.shape[1], query.shape[3]
    fold = heads // kv_heads
    packed = query[0].transpose(0, 1)
    out = []
    for group in ablate_step.batch.groups:
        rows, q = group.rows, group.q
        mine = packed[group.offset : group.offset + rows * q]
        # the query heads that share a KV head become more queries of it: no repeated keys
        folded = mine.view(rows, q, kv_heads, fold, size).permute(0, 2, 3, 1, 4)
        keys, values = cache.read(layer, group)
        own = cache.layer_positions(layer, group)
        if own is None:
            seen = ablate_step.positions[group.index]
            mask = group.mask(fold, sliding_window, query.dtype, seen)
        else:
            mask = group.layer_mask(fold, sliding_window, query.dtype, own)
        folded = folded.reshape(rows, kv_heads, fold * q, size)
        if cache.observes:
            attended, weights = _written_out(folded, keys, values, mask, scaling)
            weights = weights.view(rows, kv_heads, fold, q, -1).sum(2)
            cache.observe(layer, group, weights)
        else:
            attended = scaled_dot_product_attention(
                folded, keys, values, attn_mask=mask, scale=scaling
            )
        unfolded = attended.view(rows, kv_heads, fold, q, size).permute(0, 3, 1, 2, 4)
        out.append(unfolded.reshape(rows * q, heads, size))
    return (out[0] if len(out) == 1 else torch.cat(out))[None], None


def _written_out(
    query: Tensor, keys: Tensor, values: Tensor, mask: Tensor, scaling: float | None
) -> tuple[Tensor, Tensor]:
    """Attention with its weights, in float32."""
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    scores = torch.matmul(query * scale, keys.transpose(2, 3)) + mask
    weights = scores.softmax(-1, dtype=torch.float32)
    return torch.matmul(weights.to(values.dtype), values), weights


def _no_mask(*args: Any, **kwargs: Any) -> None:
    """Groups bring their own masks."""


def use_store_attention(model: PreTrainedModel) -> None:
    """Switch a loaded model to attention over a KV store."""
    AttentionInterface.register(NAME, attend)
    AttentionMaskInterface.register(NAME, _no_mask)
    model.set_attn_implementation(NAME)
