"""What the tests of quantizers share: a model's logits, and how far two models are apart."""

from __future__ import annotations

from typing import Any


def logits(model: Any) -> Any:
    """Of a fixed batch of 2 x 24 tokens, in float32."""
    import torch

    ids = torch.randint(10, 500, (2, 24), generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        return model(input_ids=ids, use_cache=False).logits.float()


def apart(one: Any, other: Any) -> float:
    """The norm of the difference of two models' logits, as a share of the first's."""
    before, after = logits(one), logits(other)
    return float((after - before).norm() / before.norm())
