"""Layers that hold integer weights, and the formats that checkpoints pack them in."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own name for it

from ablate.quantization.formats import Packing, awq_codes, gptq_codes, packing, take
from ablate.quantization.int8 import Int8Linear
from ablate.quantization.linears import Int4Linear, Reordered
from ablate.tensors import held_bytes


@pytest.mark.parametrize("dtype", ["bfloat16", "float32", "float16"])
@pytest.mark.parametrize("columns", [192, 96, 24])
@pytest.mark.parametrize("rows", [1, 5, 127, 128])
def test_the_layer_multiplies_by_the_dequantized_weight(
    dtype: str, columns: int, rows: int
) -> None:
    draw = torch.Generator().manual_seed(0)
    codes = torch.randint(0, 16, (128, columns), generator=draw, dtype=torch.uint8)
    zeros = torch.randint(0, 16, (2, columns), generator=draw, dtype=torch.uint8)
    kind = getattr(torch, dtype)
    scales = (torch.rand(2, columns, generator=draw) * 0.02 + 0.01).to(kind)
    bias = torch.randn(columns, generator=draw).to(kind)
    x = torch.randn(1, rows, 128, generator=draw).to(kind)
    layer = Int4Linear(codes, zeros, scales, bias)
    y = layer(x)
    spread = codes.double() - zeros.double().repeat_interleave(64, 0)
    weight = spread * scales.double().repeat_interleave(64, 0)
    expected = x.double() @ weight + bias.double()
    error = ((y.double() - expected).norm() / expected.norm()).item()
    assert y.shape == (1, rows, columns)
    assert y.dtype == kind
    assert error < {"bfloat16": 1e-2, "float16": 1e-3, "float32": 1e-6}[dtype]
    assert layer.packed.nbytes == 128 * columns // 2


@pytest.mark.parametrize("groups", [1, 2, 8, 24])
def test_groups_of_any_size_give_the_same_as_without_the_kernel(groups: int) -> None:
    """768 features in groups of 768, 384, 96 and 32, of which the kernel has only the last."""
    draw = torch.Generator().manual_seed(0)
    codes = torch.randint(0, 16, (768, 64), generator=draw, dtype=torch.uint8)
    zeros = torch.randint(0, 16, (groups, 64), generator=draw, dtype=torch.uint8)
    scales = (torch.rand(groups, 64, generator=draw) * 0.02 + 0.01).bfloat16()
    x = torch.randn(3, 768, generator=draw)
    y = Int4Linear(codes, zeros, scales, None)(x.bfloat16())
    exact = Int4Linear(codes, zeros, scales.float(), None)(x.bfloat16().float())
    assert (y.float() - exact).norm() / exact.norm() < 1e-2


def test_a_kernel_layout_that_is_not_known_is_left_to_the_kernel(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    codes = torch.arange(64 * 64).view(64, 64).remainder(16).to(torch.uint8)
    zeros, scales = torch.full((2, 64), 7), torch.full((2, 64), 0.5, dtype=torch.bfloat16)
    known = Int4Linear(codes, zeros, scales, None)
    monkeypatch.setattr("ablate.quantization.linears.KERNEL_BLOCKS", ())
    unknown = Int4Linear(codes, zeros, scales, None)
    x = torch.eye(64, dtype=torch.bfloat16).repeat(3, 1)
    assert known.block is not None
    assert unknown.block is None
    assert torch.equal(known(x), unknown(x))
    with pytest.raises(ValueError, match="layout is not known"):
        unknown.dense()


Integers = Int4Linear | Int8Linear


def drawn(
    columns: int,
    biased: bool,
    dtype: torch.dtype = torch.bfloat16,
    kind: type[Integers] = Int4Linear,
    middle: int | None = None,
) -> Integers:
    """A layer of 256 inputs in groups of 64; ``middle``: all its zeros."""
    generator = torch.Generator().manual_seed(columns)
    most = 16 if kind is Int4Linear else 256
    codes, zeros = (
        torch.randint(0, most, (rows, columns), dtype=torch.uint8, generator=generator)
        for rows in (256, 4)
    )
    zeros = zeros if middle is None else torch.full_like(zeros, middle)
    scales = (torch.rand(4, columns, generator=generator) / 100).to(dtype)
    bias = torch.rand(columns, generator=generator).to(dtype) if biased else None
    return kind(codes, zeros, scales, bias)


@given(
    seed=st.integers(0, 2**32),
    rows=st.sampled_from([1, 2, 11, 12, 40]),
    columns=st.integers(1, 70),
    groups=st.integers(1, 5),
    size=st.sampled_from([1, 8, 20, 32, 64, 96]),
    symmetric=st.booleans(),
    dtype=st.sampled_from([torch.bfloat16, torch.float32]),
)
def test_a_layer_of_bytes_multiplies_by_the_dequantized_weight(
    seed: int, rows: int, columns: int, groups: int, size: int, symmetric: bool, dtype: torch.dtype
) -> None:
    draw = torch.Generator().manual_seed(seed)
    codes = torch.randint(0, 256, (groups * size, columns), generator=draw, dtype=torch.uint8)
    zeros = torch.randint(0, 256, (groups, columns), generator=draw, dtype=torch.uint8)
    zeros = torch.full_like(zeros, 128) if symmetric else zeros
    scales = (torch.rand(groups, columns, generator=draw) * 0.02 + 0.01).to(dtype)
    x = torch.randn(rows, groups * size, generator=draw).to(dtype)
    layer = Int8Linear(codes, zeros, scales, None)
    spread = codes.double() - zeros.double().repeat_interleave(size, 0)
    weight = spread * scales.double().repeat_interleave(size, 0)
    bound = 1e-2 if dtype == torch.bfloat16 else 1e-5
    # zeros far from the middle: what is added and taken off again is larger than the result
    terms = x.abs().double() @ (weight.abs() + 128 * scales.double().repeat_interleave(size, 0))
    assert layer(x).dtype == dtype
    assert ((layer(x).double() - x.double() @ weight).abs() <= bound * terms).all()
    assert torch.allclose(layer.dense().double(), weight, rtol=bound)


def test_a_layer_of_bytes_gives_the_same_with_few_rows_and_with_many() -> None:
    layer = drawn(70, True, kind=Int8Linear)
    x = torch.randn(40, 256, generator=torch.Generator().manual_seed(0)).to(torch.bfloat16)
    few, many = torch.cat([layer(row.unsqueeze(0)) for row in x]), layer(x)
    assert layer.kernel
    assert (few - many).float().norm() / many.float().norm() < 1e-2


@pytest.mark.parametrize("biased", [False, True])
@pytest.mark.parametrize("rows", [1, 7, 200])
@pytest.mark.parametrize(
    ("kind", "middle"), [(Int4Linear, None), (Int8Linear, None), (Int8Linear, 128)]
)
def test_layers_of_one_input_become_one_and_hold_nothing_twice(
    rows: int, biased: bool, kind: type[Integers], middle: int | None
) -> None:
    layers = [drawn(n, biased, kind=kind, middle=middle) for n in (192, 64, 128)]
    x = torch.rand(rows, 256, generator=torch.Generator().manual_seed(0)).to(torch.bfloat16)
    alone, bytes_before = torch.cat([layer(x) for layer in layers], -1), held_bytes(*layers)
    whole = layers[0].joined_with(layers[1:])
    assert whole is not None
    assert torch.equal(whole(x), alone)
    assert torch.equal(torch.cat([layer(x) for layer in layers], -1), alone)
    assert isinstance(whole, kind)
    assert torch.equal(torch.cat([layer.dense() for layer in layers], -1), whole.dense())
    assert held_bytes(whole, *layers) == bytes_before


def test_layers_that_differ_stay_apart() -> None:
    assert drawn(64, True).joined_with([drawn(64, False)]) is None
    assert drawn(64, True).joined_with([nn.Linear(256, 64)]) is None
    kind, middle = Int8Linear, 128
    assert (
        drawn(64, True, kind=kind).joined_with([drawn(64, True, kind=kind, middle=middle)]) is None
    )
    assert drawn(64, True, kind=kind).joined_with([drawn(64, True)]) is None
    floats = [drawn(64, True, torch.float32) for _ in range(2)]  # no kernel
    assert floats[0].joined_with(floats[1:]) is None


def test_codes_are_read_from_the_format_that_awq_checkpoints_have() -> None:
    codes = torch.randint(0, 16, (3, 16), generator=torch.Generator().manual_seed(0))
    packed = torch.zeros(3, 2, dtype=torch.int64)
    for word in range(2):
        for place, column in enumerate((0, 2, 4, 6, 1, 3, 5, 7)):
            packed[:, word] |= codes[:, 8 * word + column] << (4 * place)
    words = packed.to(torch.uint32).view(torch.int32)
    assert torch.equal(awq_codes(words), codes.to(torch.uint8))


def packed_bits(codes: Tensor, bits: int) -> Tensor:
    """Rows of codes as words of 32 bits, written as one number a row."""
    rows = []
    for row in codes.tolist():
        number = sum(code << (bits * place) for place, code in enumerate(row))
        count = len(row) * bits // 32
        rows.append([number >> (32 * word) & 0xFFFFFFFF for word in range(count)])
    return torch.tensor(rows, dtype=torch.int64).to(torch.uint32).view(torch.int32)


@given(bits=st.sampled_from([2, 3, 4, 8]), seed=st.integers(0, 2**32), words=st.integers(1, 3))
def test_codes_are_read_from_the_format_that_gptq_checkpoints_have(
    bits: int, seed: int, words: int
) -> None:
    draw = torch.Generator().manual_seed(seed)
    codes = torch.randint(0, 2**bits, (3, 32 * words), generator=draw, dtype=torch.uint8)
    assert torch.equal(gptq_codes(packed_bits(codes, bits), bits), codes)


@pytest.mark.parametrize("shuffled", [False, True])
@pytest.mark.parametrize("bits", [3, 4, 8])
def test_a_gptq_layer_multiplies_by_the_dequantized_weight(bits: int, shuffled: bool) -> None:
    draw = torch.Generator().manual_seed(0)
    codes = torch.randint(0, 2**bits, (128, 64), generator=draw, dtype=torch.uint8)
    zeros = torch.randint(1, 2**bits, (4, 64), generator=draw, dtype=torch.uint8)
    scales = torch.rand(4, 64, generator=draw) + 0.5
    groups = torch.arange(128) // 32
    groups = groups[torch.randperm(128, generator=draw)] if shuffled else groups
    tensors = {
        "a.qweight": packed_bits(codes.t(), bits).t(),
        "a.qzeros": packed_bits(zeros - 1, bits),
        "a.scales": scales,
        "a.g_idx": groups.int(),
    }
    found = take(tensors, "a", Packing("gptq", bits, zeros_less_one=True))
    assert not tensors
    layer: nn.Module = (Int4Linear if bits <= 4 else Int8Linear)(
        found.codes, found.zeros, found.scales, found.bias
    )
    if found.order is not None:
        layer = Reordered(layer, found.order)
    assert (found.order is not None) == shuffled
    weight = (codes.double() - zeros.double()[groups]) * scales.double()[groups]
    x = torch.randn(2, 3, 128, generator=draw)
    expected = F.linear(x.double(), weight.t())
    assert torch.allclose(layer(x).double(), expected, rtol=1e-4, atol=1e-3)


def test_other_layouts_are_refused() -> None:
    with pytest.raises(ValueError, match="cannot read 4-bit gptq checkpoints in the layout 'mar"):
        packing({"quant_method": "gptq", "bits": 4, "checkpoint_format": "marlin"})
    with pytest.raises(ValueError, match="cannot read 8-bit awq"):
        packing({"quant_method": "awq", "bits": 8})
