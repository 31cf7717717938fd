"""What vLLM's workers say of themselves, as the facts that plugins prove themselves by."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ablate.types import EngineFacts


def facts(results: Sequence[Mapping[str, Any]]) -> EngineFacts:
    """The answers of all ranks to ``ablate_facts`` as those of one engine of data parallelism.

    Bytes are summed over ranks; layers are those of the whole model where it is split within
    layers (tensor parallelism) and are summed over stages (pipeline parallelism).
    """
    first = min(results, key=lambda r: r["rank"])
    settings = dict(first["settings"])
    split = max(int(settings.get("tensor_parallel_size") or 1), 1)
    linears: Counter[str] = Counter()
    for result in results:
        linears.update(result["linears"])
    kv_bytes = sum(r["kv_bytes"] for r in results)
    tokens = (settings.get("num_gpu_blocks") or 0) * (settings.get("block_size") or 0)
    return EngineFacts(
        settings=settings,
        linears={name: n // split for name, n in linears.items()},
        quantized=sum(r["quantized"] for r in results) // split,
        weight_bytes=sum(r["weight_bytes"] for r in results),
        kv_bytes_per_token=kv_bytes / tokens if tokens else None,
        kv_cache_tokens=tokens or None,
    )


def replicated(found: EngineFacts, engines: int) -> EngineFacts:
    """Of all engines of data parallelism, which hold equal shares: vLLM asks the first alone.

    Replicas of a dense model say that they are alone.
    """
    return replace(
        found,
        settings={**found.settings, "data_parallel_size": engines},
        weight_bytes=(found.weight_bytes or 0) * engines or None,
        kv_cache_tokens=(found.kv_cache_tokens or 0) * engines or None,
    )
