"""A quantized model on engines that own their loop: their arguments, and what proves it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from ablate.types import EngineFacts, Evidence, EvidenceState

CODES = frozenset({"qweight", "weight_packed"})
CODE_TYPES = frozenset({"I8", "U8", "I32", "F8_E4M3", "F8_E5M2"})
OUTSIDE = re.compile(r"embed|lm_head|\bwte\b|\bwpe\b")  # matrices of no linear layer that counts


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
        return _of_checkpoint(plugin, state.engine, str(found.settings.get("model")), bits)
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


def _of_checkpoint(plugin: str, engine: str, model: str, bits: int) -> Evidence:
    """Of a server that tells no layers: those of the checkpoint that it says it serves."""
    tensors = tensor_types(Path(model))
    coded = {layer for name in tensors if (layer := _coded_layer(name, tensors[name]))}
    plain = {
        name.removesuffix(".weight")
        for name, (_, shape) in tensors.items()
        if name.endswith(".weight") and len(shape) == 2 and not OUTSIDE.search(name)
    }
    linears = len(coded | plain)
    if not coded:
        return Evidence(plugin, False, f"{engine} does not say which layers are quantized")
    return Evidence(
        plugin,
        len(coded) == linears,
        f"{engine} serves {model}, which has {len(coded)} of {linears} linear layers as {bits}-bit "
        "codes alone; it does not say which kernel runs them",
        {"quantized_linears": len(coded), "linears": linears, "bits": bits},
    )


def tensor_types(folder: Path) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Type and shape of each tensor in a folder's safetensors, read from their headers."""
    found: dict[str, tuple[str, tuple[int, ...]]] = {}
    for path in folder.glob("*.safetensors"):
        with path.open("rb") as file:
            header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        found |= {n: (t["dtype"], tuple(t["shape"])) for n, t in header.items() if "dtype" in t}
    return found


def _coded_layer(name: str, kind: tuple[str, tuple[int, ...]]) -> str | None:
    layer, _, what = name.rpartition(".")
    codes = what in CODES or (what == "weight" and kind[0] in CODE_TYPES)
    return layer if codes else None
