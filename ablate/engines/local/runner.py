"""A model together with the store that its forward passes fill."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ablate.engines.local.attention import PackedStep, use_store_attention
from ablate.engines.local.batch import Batch, Span
from ablate.engines.local.fused import fused
from ablate.engines.local.interfaces import KVStore


class ModelRunner:
    """Runs packed forward passes of a transformers model over a KV store."""

    def __init__(self, model: Any, cache: KVStore) -> None:
        use_store_attention(model)
        self.model = model
        self.cache = cache
        self._device: torch.device = model.device  # asking the model walks all its parameters
        self.fused = fused(model)

    def __call__(self, spans: Sequence[Span]) -> Tensor:
        """Logits ``[sum of keep, V]``, span by span; keys and values are in the store after it."""
        batch = Batch(spans, self.cache.order, self._device)
        self.cache.begin(batch)
        step = PackedStep(batch, self.cache)
        with torch.inference_mode():
            return self.fused(batch, step) if self.fused else self._run(batch, step)

    def _run(self, batch: Batch, step: PackedStep) -> Tensor:
        """By transformers' own code."""
        keep = batch.logit_rows
        out = self.model(
            input_ids=batch.input_ids,
            position_ids=batch.positions,
            use_cache=False,
            # an empty index would mean "all": compute one row and drop it
            logits_to_keep=keep if len(keep) else batch.positions.new_zeros(1),
            ablate_step=step,
        )
        logits: Tensor = out.logits[0]
        return logits[: len(keep)]
