"""Forward speed of AWQ weights against bfloat16 by the number of rows, the two taking turns.

Quantizes the model first where no artefact is kept (about a minute for the shipped one).
``python -m benchmarks.awq_rows --help``
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Sequence
from typing import Any

import torch

from ablate.domains.arithmetic import Arithmetic
from ablate.engines.local.loading import load_model
from ablate.models import ModelConfig, resolve_model
from ablate.types import ModelSpec
from ablate_awq import Awq

ROWS = (1, 8, 16, 32, 64, 96, 127, 128, 256, 512, 2048)


def calibration(n: int, seed: int) -> Sequence[tuple[str, str]]:
    return [(p.prompt, p.solution or "") for p in Arithmetic().training(n, seed)]


def models(name: str) -> tuple[Any, Any]:
    """The model in bfloat16, plain and quantized."""
    found = resolve_model(ModelConfig(name, dtype="bfloat16"))
    spec = ModelSpec(found.name, found.path, dtype=found.dtype, calibration=calibration)
    return load_model(spec, "cpu"), Awq().ablate_load_model(spec, "cpu")


def seconds(model: Any, ids: torch.Tensor) -> float:
    began = time.perf_counter()
    with torch.inference_mode():
        model(input_ids=ids, use_cache=False)
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="tiny-reasoner")
    parser.add_argument("--pairs", type=int, default=40)
    args = parser.parse_args()
    full, quantized = models(args.model)
    print(f"{args.model}, {torch.get_num_threads()} threads; above 1: AWQ is faster")
    for rows in ROWS:
        ids = torch.randint(3, full.config.vocab_size, (1, rows))
        seconds(full, ids)
        seconds(quantized, ids)
        pairs = max(args.pairs * 8 // rows, args.pairs)
        ratios = sorted(seconds(full, ids) / seconds(quantized, ids) for _ in range(pairs))
        low, high = ratios[len(ratios) // 10], ratios[-1 - len(ratios) // 10]
        print(
            f"{rows:5} rows: median {statistics.median(ratios):.2f} (p10 {low:.2f}, p90 {high:.2f})"
        )


if __name__ == "__main__":
    main()
