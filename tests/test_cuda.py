"""Quantized layers on a GPU against the same sums in float64, where there is one."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from ablate.quantization.activations import FLOAT8, Float8, Int8Dynamic, Product
from ablate.quantization.int8 import Int8Linear
from ablate.quantization.linears import Int4Linear

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")

K, N, GROUP = 256, 192, 64
ROWS = [1, 8, 17, 300]


def drawn(*size: int) -> Tensor:
    return torch.randn(size, generator=torch.Generator().manual_seed(sum(size)))


def off(y: Tensor, truth: Tensor) -> float:
    """Relative error."""
    y = y.double().cpu()
    return float((y - truth).norm() / truth.norm())


@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
@pytest.mark.parametrize("bits", [4, 8])
def test_integer_weights(bits: int, dtype: torch.dtype, rows: int) -> None:
    generator = torch.Generator().manual_seed(0)
    codes = torch.randint(0, 2**bits, (K, N), generator=generator, dtype=torch.uint8)
    zeros = torch.randint(0, 2**bits, (K // GROUP, N), generator=generator, dtype=torch.uint8)
    scales, bias = (drawn(K // GROUP, N).abs() / 100).to(dtype), drawn(N).to(dtype)
    x = drawn(rows, K).to(dtype)
    kind = Int4Linear if bits == 4 else Int8Linear
    layer = kind(codes.cuda(), zeros.cuda(), scales.cuda(), bias.cuda())
    spread = [t.repeat_interleave(GROUP, 0).double() for t in (zeros, scales)]
    weight = (codes.double() - spread[0]) * spread[1]
    bound = 1e-5 if dtype == torch.float32 else 1e-2
    assert off(layer(x.cuda()), x.double() @ weight + bias.double()) < bound
    assert off(layer.dense(), weight) < bound
    if bits == 4:
        assert layer.kernel is (dtype == torch.bfloat16)
        assert layer.packed.element_size() * layer.packed.numel() == K * N // 2


@pytest.mark.parametrize("rows", ROWS)
def test_integer_weights_and_inputs(rows: int) -> None:
    weight, x = drawn(N, K), drawn(rows, K).to(torch.bfloat16)
    scales = weight.abs().amax(1) / 127
    codes = (weight / scales[:, None]).round().to(torch.int8)
    product = Product([(codes.cuda(), scales.cuda())], torch.bfloat16)
    layer = Int8Dynamic(product, 0, codes.shape, None)
    by_token = x.double().abs().amax(1, keepdim=True) / 127
    rounded = (x.double() / by_token).round() * by_token
    truth = rounded @ (codes.double() * scales[:, None].double()).t()
    assert off(layer(x.cuda()), truth) < 4e-3


@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("static", [True, False])
def test_small_floats(static: bool, rows: int) -> None:
    weight, x = drawn(N, K), drawn(rows, K).to(torch.bfloat16)
    scales = weight.abs().amax(1, keepdim=True) / 448
    codes = (weight / scales).to(FLOAT8)
    given = x.float().abs().max().view(1) / 448 if static else None
    layers = [
        Float8(codes.to(where), scales, None, dtype, given).to(where)
        for where, dtype in (("cuda", torch.bfloat16), ("cpu", torch.float32))
    ]
    # 2e-3 and 4e-3 were seen: Hopper adds products of eight-bit floats up with few bits
    assert off(layers[0](x.cuda()), layers[1](x.float()).double()) < 1e-2
