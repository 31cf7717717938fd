"""What the kernels of quantized linear layers gain on this CPU by themselves, without a model.

``python -m benchmarks.linear_kernels``: all linear layers of a few models' decoder layers, one call
after the other, as many that their bfloat16 weights are ``--megabytes`` and no cache holds them.
Ratios to oneDNN's packed bfloat16 product, which ``engine: local`` takes, median over turns; above
1 is faster. The last line of a model is torch's ``F.linear`` on a weight as it is loaded.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - torch's own name for it

from ablate.engines.local.packing import ROWS
from ablate.quantization.activations import ZERO, Product
from ablate.quantization.int8 import Int8Linear
from ablate.quantization.linears import Int4Linear

MODELS = {
    "SmolLM2-135M": ((576, 960), (576, 576), (576, 3072), (1536, 576)),
    "Qwen2.5-1.5B": ((1536, 2048), (1536, 1536), (1536, 17920), (8960, 1536)),
}
"""Inputs and outputs of a decoder layer's products, those of one input joined."""
GROUP = 64
Layer = Callable[[Tensor], Tensor]


def packed(inputs: int, outputs: int) -> Layer:
    weight = torch.randn(outputs, inputs).to(torch.bfloat16)
    held = torch.ops.mkldnn._reorder_linear_weight(weight, ROWS)
    product = torch.ops.mkldnn._linear_pointwise.default
    return lambda x: product(x, held, None, "none", [], "")


def plain(inputs: int, outputs: int) -> Layer:
    weight = torch.randn(outputs, inputs).to(torch.bfloat16)
    return lambda x: F.linear(x, weight)


def int4(inputs: int, outputs: int) -> Layer:
    codes = torch.randint(0, 16, (inputs, outputs), dtype=torch.uint8)
    groups = inputs // GROUP
    scales = torch.rand(groups, outputs).to(torch.bfloat16)
    return Int4Linear(codes, torch.full((groups, outputs), 8), scales, None)


def int8_unpacked(inputs: int, outputs: int) -> Layer:
    """The same, turned back to bfloat16 for every call."""
    layer = int8_groups(inputs, outputs)
    layer.kernel = False
    return layer


def int8_groups(inputs: int, outputs: int) -> Int8Linear:
    """Weights alone, with a scale for each group of a row."""
    codes = torch.randint(0, 256, (inputs, outputs), dtype=torch.uint8)
    scales = torch.rand(inputs // GROUP, outputs).to(torch.bfloat16)
    return Int8Linear(codes, torch.full_like(scales, 128, dtype=torch.uint8), scales, None)


def int8(inputs: int, outputs: int) -> Layer:
    """Weights and inputs; rounding the inputs is part of it."""
    return Product([_bytes(inputs, outputs)], torch.bfloat16).all


def int8_alone(inputs: int, outputs: int) -> Layer:
    """oneDNN's product by itself, of inputs that are bytes already."""
    held = Product([_bytes(inputs, outputs)], torch.bfloat16)
    product, rest = torch.ops.onednn.qlinear_pointwise.default, (1.0, 0, torch.bfloat16, "none")
    weight = (held.packed, held.scales, held.no_zeros, None)
    return lambda x: product(x, 1.0, ZERO, *weight, *rest, [], "")


def int8_weights(inputs: int, outputs: int) -> Layer:
    """torch's kernel for bfloat16 inputs, with one scale a row."""
    codes, scales = _bytes(inputs, outputs)
    held = scales.to(torch.bfloat16)
    return lambda x: torch._weight_int8pack_mm(x, codes, held)


def _bytes(inputs: int, outputs: int) -> tuple[Tensor, Tensor]:
    return torch.randint(-127, 128, (outputs, inputs), dtype=torch.int8), torch.rand(outputs)


KERNELS: dict[str, Callable[[int, int], Layer]] = {
    "bfloat16, packed": packed,
    "int4 weights": int4,
    "int8 weights in groups": int8_groups,
    "… unpacked for the call": int8_unpacked,
    "int8 weights and inputs": int8,
    "… its product alone": int8_alone,
    "int8 weights, a scale a row": int8_weights,
    "bfloat16, F.linear": plain,
}


def seconds(layers: Sequence[tuple[Layer, Tensor]]) -> float:
    began = time.perf_counter()
    for layer, x in layers:
        layer(x)
    return time.perf_counter() - began


def ratios(
    shapes: Sequence[tuple[int, int]], rows: int, copies: int, turns: int
) -> dict[str, float]:
    """By kernel, its speed over that of the first."""
    inputs = {n: torch.randn(rows, n).mul(50).add(ZERO) for n, _ in shapes}
    made = {}
    for name, make in KERNELS.items():
        dtype = torch.uint8 if make is int8_alone else torch.bfloat16
        every = tuple(shapes) * copies
        made[name] = [(make(*shape), inputs[shape[0]].to(dtype)) for shape in every]
        seconds(made[name])
    took: dict[str, list[float]] = {name: [] for name in made}
    for _ in range(turns):
        for name, layers in made.items():
            took[name].append(seconds(layers))
    base = next(iter(took.values()))
    return {
        name: statistics.median(b / t for b, t in zip(base, mine, strict=True))
        for name, mine in took.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="*", default=[1, 8, 32])
    parser.add_argument("--megabytes", type=int, default=200, help="of bfloat16 weights")
    parser.add_argument("--turns", type=int, default=11)
    args = parser.parse_args()
    print(f"{torch.get_num_threads()} threads; oneDNN's packed bfloat16 = 1\n")
    print("| model | kernel |", *(f"{n} rows |" for n in args.rows))
    print("|", " --- |" * (2 + len(args.rows)), sep="")
    for model, shapes in MODELS.items():
        size = 2 * sum(k * n for k, n in shapes)
        copies = max(1, round(args.megabytes * 1e6 / size))
        with torch.inference_mode():
            found = [ratios(shapes, rows, copies, args.turns) for rows in args.rows]
        for name in KERNELS:
            print(f"| {model} | {name} |", *(f"{f[name]:.2f} |" for f in found), flush=True)


if __name__ == "__main__":
    main()
