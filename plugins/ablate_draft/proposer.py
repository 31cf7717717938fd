"""A draft model beside the target, of the same vocabulary."""

from __future__ import annotations

from typing import Any

from ablate.engines.local.drafting import DraftModel
from ablate.engines.local.interfaces import KVStore, Sampler
from ablate.engines.local.loading import load_model
from ablate.errors import TrialError
from ablate.tensors import held_bytes
from ablate.types import ModelSpec


class Beside(DraftModel):
    """Its weights come on top of the target's."""

    @property
    def weight_bytes(self) -> int:
        return held_bytes(self._model)


def draft_model(
    spec: ModelSpec, target: Any, cache: KVStore, sampler: Sampler, k: int
) -> DraftModel:
    """Load the draft. Raises TrialError if it does not speak the target's tokens."""
    model = load_model(spec, str(target.device))
    mine, theirs = model.config.vocab_size, target.config.vocab_size
    if mine != theirs:
        raise TrialError(
            f"draft model {spec.name!r} has a vocabulary of {mine} tokens and the model one of "
            f"{theirs}; a draft must share the model's tokenizer"
        )
    return Beside(model, cache, sampler, k)
