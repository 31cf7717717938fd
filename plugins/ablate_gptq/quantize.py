"""Run by the interpreter that has gptqmodel, which may have nothing of ablate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def quantize(request: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> None:
    import torch
    from gptqmodel import GPTQModel
    from gptqmodel.quantization import GPTQConfig

    config = GPTQConfig(
        bits=request["bits"],
        group_size=request["group_size"],
        desc_act=request["desc_act"],
        act_group_aware=request["group_size"] > 0 and not request["desc_act"],
        sym=True,  # what vLLM's kernels can run
        device=request["device"],
        offload_to_disk=False,
        fallback=None,  # else it rounds to nearest where activations are missing, and only logs it
    )
    model = GPTQModel.load(request["source"], config, dtype=torch.bfloat16)
    log = model.quantize(list(rows), calibration_data_min_length=1, batch_size=1)
    check(log, sum(len(row["input_ids"]) for row in rows))
    model.save(request["target"])


def check(log: Mapping[str, Sequence[Mapping[str, Any]]], tokens: int) -> None:
    """Refuse a quantization in which a layer did not see all of the calibration text."""
    layers = log["gptq"]
    partial = [
        f"layer {row['layer']} {row['module']}" for row in layers if int(row["samples"]) != tokens
    ]
    if partial or not layers:
        raise SystemExit(f"gptqmodel dropped calibration tokens of {', '.join(partial) or 'all'}")
