"""Attention over the KV store, plugged into transformers' ``AttentionInterface``."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, PreTrainedModel
from transformers.masking_utils import AttentionMaskInterface

from ablate.engines.local.batch import Batch, Group
from ablate.engines.local.interfaces import KVStore
from ablate.engines.local.packing import is_onednns
from ablate.errors import TrialError

NAME = "ablate"
FEW_QUERIES = 32
LITTLE, START = 3000, 100  # keys of all rows and heads; to start on one costs as much as so many
_UNSUPPORTED = ("softcap", "s_aux")


class PackedStep:
    """What the attention of one forward pass needs; travels as a keyword through the model."""

    def __init__(self, batch: Batch, cache: KVStore) -> None:
        self.batch = batch
        self.cache = cache
        self._positions = [cache.positions(group) for group in batch.groups]

    def mask(
        self, layer: int, group: Group, fold: int, window: int | None, dtype: torch.dtype
    ) -> Tensor | None:
        """Which entries each new token does not see, as ``Group.mask`` has it; None: none."""
        own = self.cache.layer_positions(layer, group)
        if own is not None:
            return group.layer_mask(fold, window, dtype, own)
        seen = self._positions[group.index]
        near = window is None or window >= group.length
        if seen is None and near and group.sees_all:
            return None
        return group.mask(fold, window, dtype, seen)


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
    """Attention as transformers' layers call it.

    ``query`` is ``[1, H, N, D]``, ``key`` and ``value`` ``[1, G, N, D]``; returns ``[1, N, H, D]``.
    """
    if ablate_step is None:
        raise TrialError("the model's layers do not pass keywords on to attention")
    refused = [name for name in _UNSUPPORTED if kwargs.get(name) is not None]
    if refused:
        raise TrialError(f"engine 'local' does not support attention with {', '.join(refused)}")
    layer: int = module.layer_idx  # type: ignore[assignment]
    q, k, v = (t[0].transpose(0, 1) for t in (query, key, value))
    out = attend_rows(ablate_step, layer, q, k, v, scaling, sliding_window)
    return out.view(1, query.shape[2], query.shape[1], -1), None


def attend_rows(
    step: PackedStep,
    layer: int,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    scaling: float | None,
    window: int | None,
) -> Tensor:
    """Write the step's keys and values, and attend over all that the store holds.

    ``query`` is ``[N, H, D]``, ``key`` and ``value`` ``[N, G, D]``; returns ``[N, H * D]``.
    """
    cache = step.cache
    cache.append(layer, key, value)
    heads, kv_heads, size = query.shape[1], key.shape[1], query.shape[2]
    fold = heads // kv_heads
    out = []
    for group in step.batch.groups:
        rows, q = group.rows, group.q
        mine = query[group.offset : group.offset + rows * q]
        # the query heads that share a KV head become more queries of it: no repeated keys
        if q > 1:
            mine = mine.reshape(rows, q, kv_heads, fold, size).permute(0, 2, 3, 1, 4)
        keys, values = cache.read(layer, group)
        mask = step.mask(layer, group, fold, window, query.dtype)
        mine = mine.reshape(rows, kv_heads, fold * q, size)
        if cache.observes:
            attended, weights = _written_out(mine, keys, values, mask, scaling)
            cache.observe(layer, group, weights.view(rows, kv_heads, fold, q, -1).sum(2))
        else:
            attended = _attention(mine, keys, values, mask, scaling)
        if q > 1:
            attended = attended.view(rows, kv_heads, fold, q, size).permute(0, 3, 1, 2, 4)
        out.append(attended.reshape(rows * q, heads * size))
    return out[0] if len(out) == 1 else torch.cat(out)


def _attention(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, scaling: float | None
) -> Tensor:
    """``[R, G, f, D]`` of queries ``[R, G, f, D]`` over keys and values ``[R, G, L, D]``."""
    rows, heads, f, size = q.shape
    much = rows * heads * (k.shape[2] + START) > LITTLE
    if much and f <= FEW_QUERIES and is_onednns(q.dtype, q.device):
        return _few_queries(q, k, v, mask, size**-0.5 if scaling is None else scaling)
    return scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=scaling)


def _few_queries(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, scale: float) -> Tensor:
    """The same by two batched products; torch's softmax is computed in float32.

    torch's kernel makes two small products for every row and head, whose start costs more than
    they do. oneDNN takes what is dense: a copy is cheaper than what it does with the rest.
    """
    rows, heads, f, size = q.shape
    keys, values = (t.contiguous().view(rows * heads, -1, size) for t in (k, v))
    scores = torch.bmm(q.reshape(rows * heads, f, size), keys.transpose(1, 2))
    if mask is None:
        scores = scores.mul_(scale)
    else:
        scores = torch.add(mask, scores.view(rows, heads, f, -1), alpha=scale)
        scores = scores.view(rows * heads, f, -1)
    return torch.bmm(torch.softmax(scores, -1), values).view(rows, heads, f, size)


def _written_out(
    query: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None, scaling: float | None
) -> tuple[Tensor, Tensor]:
    """Attention with its weights, in float32."""
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    scores = torch.matmul(query * scale, keys.transpose(2, 3))
    if mask is not None:
        scores = scores + mask
    weights = scores.softmax(-1, dtype=torch.float32)
    return torch.matmul(weights.to(values.dtype), values), weights


def _no_mask(*args: Any, **kwargs: Any) -> None:
    """Groups bring their own masks."""


def use_store_attention(model: PreTrainedModel) -> None:
    """Switch a loaded model to attention over a KV store."""
    AttentionInterface.register(NAME, attend)
    AttentionMaskInterface.register(NAME, _no_mask)
    model.set_attn_implementation(NAME)
