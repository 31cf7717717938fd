"""Run by the interpreter that has gptqmodel, which may have nothing of ablate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def quantize(request: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> None:
    import torch
    from gptqmodel import BACKEND, GPTQModel
    from gptqmodel.quantization import AWQConfig

    config = AWQConfig(
        bits=request["bits"],
        group_size=request["group_size"],
        sym=False,
        device=request["device"],
        offload_to_disk=False,
        fallback=None,  # else it rounds to nearest where activations are missing, and only logs it
    )
    # float32 cannot be packed, and float16 overflows in some models
    model = GPTQModel.load(request["source"], config, dtype=torch.bfloat16)
    log = model.quantize(
        list(rows), calibration_data_min_length=1, batch_size=1, backend=BACKEND.AWQ_TORCH
    )
    check(log)
    model.save(request["target"])


def check(log: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    """Refuse a quantization in which a layer did not see all of the calibration text."""
    layers = log["awq"]
    partial = [
        f"layer {row['layer']} {row['module']}"
        for row in layers
        if row["activation_retained_tokens"] != row["activation_raw_tokens"]
    ]
    if partial or not layers:
        raise SystemExit(f"gptqmodel dropped calibration tokens of {', '.join(partial) or 'all'}")
