"""compressed-tensors: layers against plain arithmetic, layouts, and who makes them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from ablate.errors import TrialError
from ablate.quantization import compressed, llmcompressor
from ablate.quantization.activations import FLOAT8, Float8, Int8Dynamic, Product
from ablate.types import ModelSpec
from ablate_fp8 import Fp8
from ablate_w4a16 import W4a16
from ablate_w8a8 import W8a8
from tests.stand_ins import interpreter_with

MODEL = Path(__file__).parent.parent / "ablate" / "models" / "tiny-draft"


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def int8_layer(seed: int = 0, bias: bool = False) -> tuple[Int8Dynamic, Tensor]:
    """A layer of 24 outputs and 40 inputs, and the weight that it stands for."""
    codes = (noise(24, 40, seed=seed) * 50).round().clamp(-127, 127).to(torch.int8)
    scales = noise(24, 1, seed=seed + 1).abs() / 100
    product = Product([(codes, scales)], torch.float32)
    made = Int8Dynamic(product, 0, codes.shape, noise(24) if bias else None)
    return made, codes.float() * scales


@given(rows=st.integers(1, 40), size=st.sampled_from([1e-6, 1.0, 300.0]), seed=st.integers(0, 99))
@settings(deadline=None, max_examples=30)
def test_int8_multiplies_what_both_sides_round_to(rows: int, size: float, seed: int) -> None:
    layer, weight = int8_layer(seed)
    x = noise(rows, 40, seed=seed) * size
    scales = x.abs().amax(-1, keepdim=True) / 127
    expected = (x / scales).round() * scales @ weight.t()
    torch.testing.assert_close(layer(x), expected, rtol=1e-4, atol=1e-4 * size)


def test_int8_takes_any_leading_shape_zeros_and_a_bias() -> None:
    layer, weight = int8_layer(bias=True)
    assert layer.bias is not None
    x = noise(2, 3, 40)
    x[0, 0] = 0
    y = layer(x)
    assert y.shape == (2, 3, 24)
    assert torch.equal(y[0, 0], layer.bias)
    one_by_one = torch.stack([layer(row[None])[0] for row in x.view(-1, 40)])
    torch.testing.assert_close(y.view(-1, 24), one_by_one)
    relative = (y - x @ weight.t() - layer.bias).norm() / y.norm()
    assert 0 < float(relative) < 0.02


def test_layers_that_share_an_input_give_what_each_gives_alone() -> None:
    tensors: dict[str, Tensor] = {}
    alone: dict[str, Int8Dynamic] = {}
    for name, size in {"a.q_proj": 16, "a.k_proj": 8, "a.v_proj": 8, "a.o_proj": 16}.items():
        codes = (noise(size, 40, seed=size + len(tensors)) * 50).round().to(torch.int8)
        scales = noise(size, 1, seed=size).abs() / 100
        tensors |= {f"{name}.weight": codes, f"{name}.weight_scale": scales}
        product = Product([(codes, scales)], torch.float32)
        alone[name] = Int8Dynamic(product, 0, codes.shape, None)
    how = compressed.compression(config("int-quantized", 8, "int"))
    made = compressed.layers(tensors, how, torch.float32, torch.device("cpu"))
    assert tensors == {}
    for x in (noise(4, 40), noise(1, 3, 40, seed=1), noise(4, 40)):
        for name in ("a.k_proj", "a.q_proj", "a.v_proj", "a.q_proj", "a.o_proj", "a.k_proj"):
            assert torch.equal(made[name](x), alone[name](x)), name
    x = noise(4, 40)
    made["a.q_proj"](x)
    x *= 2
    made["a.k_proj"](x)
    assert torch.equal(made["a.q_proj"](x), alone["a.q_proj"](x))  # not what it was before
    held = [m.packed for m in made.values() if isinstance(m, Int8Dynamic)]
    assert len({id(packed) for packed in held}) == 2
    sharing = [made[name] for name in ("a.q_proj", "a.k_proj", "a.v_proj")]
    assert alone["a.q_proj"].joined_with(sharing[1:]) is None  # another product's
    first = made["a.q_proj"]
    assert isinstance(first, Int8Dynamic)
    whole = first.joined_with(sharing[1:])
    assert whole is not None
    assert torch.equal(whole(x), torch.cat([layer(x) for layer in sharing], -1))


@pytest.mark.parametrize("static", [True, False])
def test_float8_rounds_weights_and_inputs(static: bool) -> None:
    codes = noise(24, 40).to(FLOAT8)
    scales = torch.tensor([0.5]) if static else noise(24, 1, seed=1).abs()
    x = noise(5, 40, seed=2)
    given_scale = torch.tensor([0.01]) if static else None
    scale = torch.tensor([0.01]) if static else x.abs().amax(-1, keepdim=True) / 448
    rounded = (x / scale).clamp(-448, 448).to(FLOAT8).float() * scale
    layer = Float8(codes, scales, None, torch.float32, given_scale)
    torch.testing.assert_close(layer(x), rounded @ (codes.float() * scales).t())


def config(layout: str, bits: int, kind: str, symmetric: bool = True) -> dict[str, Any]:
    weights = {"num_bits": bits, "type": kind, "symmetric": symmetric}
    group = {"format": layout, "weights": weights}
    return {"quant_method": compressed.METHOD, "config_groups": {"group_0": group}}


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (config("pack-quantized", 8, "int"), "symmetric 8-bit int weights in the layout 'pack"),
        (config("int-quantized", 8, "int", symmetric=False), "asymmetric 8-bit int weights"),
        (config("marlin-24", 4, "int"), "4-bit int weights in the layout 'marlin-24'"),
        ({"config_groups": {"a": {}, "b": {}}}, "checkpoints with 2 groups"),
    ],
)
def test_what_is_not_read_is_refused(found: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        compressed.compression(found)


def test_packed_codes_are_read_in_their_order() -> None:
    codes = torch.arange(32).remainder(16).view(2, 16)
    shifts = torch.arange(0, 32, 4)
    words = (codes.view(2, 2, 8).long() << shifts).sum(-1)
    words = torch.where(words >= 2**31, words - 2**32, words).to(torch.int32)
    tensors = {
        "a.weight_packed": words,
        "a.weight_scale": torch.tensor([[1.0, 2.0], [3.0, 4.0]]),
        "a.weight_shape": torch.tensor([2, 16]),
    }
    how = compressed.compression(config("pack-quantized", 4, "int"))
    (layer,) = compressed.layers(tensors, how, torch.float32, torch.device("cpu")).values()
    scales = torch.tensor([[1.0] * 8 + [2.0] * 8, [3.0] * 8 + [4.0] * 8])
    assert torch.equal(layer(torch.eye(16)).t(), (codes - 8) * scales)
    assert tensors == {}


# --- the interpreter

Make = Callable[[str], W8a8 | W4a16 | Fp8]
each_plugin = pytest.mark.parametrize(
    "make", [lambda p: W8a8(python=p), lambda p: W4a16(python=p), lambda p: Fp8(python=p)]
)


@each_plugin
def test_an_interpreter_that_is_none_is_found_when_planning(make: Make, tmp_path: Path) -> None:
    (problem,) = make(str(tmp_path / "python")).ablate_requirements("local").problems
    assert "is no interpreter that can be run" in problem


@each_plugin
def test_an_interpreter_without_the_library_is_found_when_planning(
    make: Make, tmp_path: Path
) -> None:
    (tmp_path / "whole").mkdir()
    (problem,) = make(interpreter_with(tmp_path, "torch")).ablate_requirements("local").problems
    assert "has no llm-compressor to run: it lacks llmcompressor, compressed-tensors" in problem
    assert "Make it: python -m venv llmcompressor" in problem
    whole = interpreter_with(tmp_path / "whole", *llmcompressor.LIBRARY.distributions)
    assert make(whole).ablate_requirements("local").problems == ()


@each_plugin
def test_without_one_the_library_must_be_here(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(llmcompressor, "find_spec", lambda name: None)
    (problem,) = make("").ablate_requirements("local").problems
    assert "pip install llmcompressor" in problem
    assert "python: llmcompressor/bin/python" in problem


def test_an_environment_without_the_library_fails_the_arm(tmp_path: Path) -> None:
    plugin = Fp8(python=interpreter_with(tmp_path))
    with pytest.raises(TrialError, match=r"has no llm-compressor to run: it lacks llmcompressor"):
        plugin.ablate_load_model(ModelSpec("tiny-draft", str(MODEL)), "cpu")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: W8a8(smoothing=1.5), "smoothing must be from 0 to 1"),
        (lambda: W8a8(calibration_samples=0), "calibration_samples must be at least 1"),
        (lambda: W4a16(group_size=48), "group_size must be one of 32, 64, 128"),
        (lambda: Fp8(scheme="float"), "scheme must be dynamic or static"),  # type: ignore[arg-type]
    ],
)
def test_options_are_checked(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
