"""A quantized model on engines that own their loop: their arguments, and what proves it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from ablate.types import EngineFacts, Evidence, EvidenceState


def arguments(
    engine: str, backends: Collection[str], make: Callable[[], Path]
) -> Mapping[str, Any] | None:
    """Serve the checkpoint that ``make`` returns in place of the model; None elsewhere."""
    return {"model": partial(_text, make)} if engine in backends else None


def _text(make: Callable[[], Path]) -> str:
    return str(make())


def evidence(plugin: str, state: EvidenceState, bits: int) -> Evidence:
    """Counts quantized against all linear layers; applied if none was left out."""
    found = state.components.get("facts")
    if not isinstance(found, EngineFacts):
        from ablate.quantization.evidence import of_model  # torch: where the model is at hand

        return of_model(plugin, state.components["model"], bits)
    if found.quantized is None or found.linears is None:
        return Evidence(plugin, False, f"{state.engine} does not say which layers are quantized")
    linears = sum(found.linears.values())
    kernels = ", ".join(f"{n} in {name}" for name, n in found.linears.items())
    numbers = {"quantized_linears": found.quantized, "linears": linears, "bits": bits}
    return Evidence(
        plugin,
        0 < found.quantized == linears,
        f"{found.quantized} of {linears} linear layers hold {bits}-bit weights ({kernels}), "
        f"{found.weight_bytes or 0:,} bytes for the whole model",
        {**numbers, "weight_bytes": float(found.weight_bytes or 0)},
    )
