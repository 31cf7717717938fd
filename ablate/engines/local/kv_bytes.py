"""How many bytes of keys and values a token takes, as evidence of stores that hold fewer."""

from __future__ import annotations

from ablate.engines.local.slots import CacheShape
from ablate.types import Evidence, EvidenceState


def held_and_full(state: EvidenceState) -> tuple[float, int]:
    """Bytes of a token in the cache that serves, and as the model computes it."""
    # asked of the cache, which another plugin may have decorated
    held: float = state.components["cache"].bytes_per_token
    return held, CacheShape.of(state.components["model"]).full_bytes_per_token


def in_fewer(plugin: str, state: EvidenceState) -> Evidence:
    """A KV store took effect if a token takes fewer bytes in it than as computed."""
    held, full = held_and_full(state)
    return Evidence(
        plugin,
        held < full,
        f"{held:.0f} bytes of KV per token instead of {full}",
        {"kv_bytes_per_token": held, "kv_bytes_per_token_full": full},
    )
