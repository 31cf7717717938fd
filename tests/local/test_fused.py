"""Fused layers and packed weights compute what the layers they stand for do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ablate.engines.local.batch import Span
from ablate.engines.local.fused import pack_output
from ablate.engines.local.interfaces import Seq
from ablate.engines.local.packing import PackedLinear, Product, StackedWeight, pack
from ablate.engines.local.runner import ModelRunner
from ablate.engines.local.slots import SlotStore
from ablate.tensors import held_bytes
from ablate.types import Limits, Problem, Request

# as many rows as attention reads in one way, and those of which there are enough for another
TOKENS = [[(7 * i + 11 * row) % 250 + 1 for i in range(9 + row)] for row in range(12)]


def stacked(owner: Any) -> Product:
    return StackedWeight([owner.layer])


def loaded(folder: Path, dtype: torch.dtype) -> Any:
    from transformers import AutoModelForCausalLM

    model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype)
    return model.eval()


def plain(model: Any) -> list[Tensor]:
    """Logits of every token, one sequence at a time, as transformers computes them."""
    with torch.inference_mode():
        return [model(torch.tensor([row])).logits[0].float() for row in TOKENS]


def served(model: Any, is_fused: bool = True, rows: int = len(TOKENS)) -> list[Tensor]:
    """The same by the engine: all but four tokens of each as one chunk, the rest one by one."""
    store = SlotStore(model, Limits(16, 512, 64, 1 << 30))
    run = ModelRunner(model, store)
    assert (run.fused is not None) == is_fused
    seqs = [
        Seq(i, Request(str(i), Problem("", "", "", ""), 0, 0), list(row), len(row), 1, 0, 0)
        for i, row in enumerate(TOKENS[:rows])
    ]
    for seq in seqs:
        store.add(seq)
    firsts = [len(seq.tokens) - 4 for seq in seqs]
    spans = [Span(s.id, s.tokens[:n], 0, n) for s, n in zip(seqs, firsts, strict=True)]
    out = [[part] for part in torch.split(run(spans).float(), firsts)]
    for step in range(4):
        places = [n + step for n in firsts]
        for seq, place in zip(seqs, places, strict=True):
            store.commit(seq, place)
        spans = [Span(s.id, [s.tokens[p]], p, 1) for s, p in zip(seqs, places, strict=True)]
        for parts, row in zip(out, run(spans).float(), strict=True):
            parts.append(row[None])
    return [torch.cat(parts) for parts in out]


def away(got: list[Tensor], truth: list[Tensor]) -> float:
    """Root mean square of the difference."""
    return float(torch.cat([(g - t).flatten() for g, t in zip(got, truth, strict=True)]).std())


@pytest.mark.parametrize("rows", [1, 3, len(TOKENS)])
@pytest.mark.parametrize("architecture", ["llama", "qwen2", "qwen3", "mistral"])
def test_fused_layers_say_what_transformers_says(
    tiny_model: Callable[..., Path], architecture: str, rows: int
) -> None:
    folder = tiny_model(architecture)
    model, coarse = loaded(folder, torch.float32), loaded(folder, torch.bfloat16)
    truth, rounded = plain(model)[:rows], plain(coarse)[:rows]
    got, got_rounded = served(model, rows=rows), served(coarse, rows=rows)
    for mine, theirs in zip(got, truth, strict=True):
        torch.testing.assert_close(mine, theirs, atol=1e-4, rtol=1e-4)
    # bfloat16 is no further from the truth than transformers' own bfloat16 is
    assert away(got_rounded, truth) < 1.2 * away(rounded, truth)


def test_a_packed_layer_is_the_layer_from_outside(tiny_model: Callable[..., Path]) -> None:
    model = loaded(tiny_model("qwen2"), torch.bfloat16)
    before = {n: m.weight.clone() for n, m in model.named_modules() if isinstance(m, nn.Linear)}
    held = held_bytes(model)
    ModelRunner(model, SlotStore(model, Limits(1, 8, 64, 1 << 20)))
    after = {n: m for n, m in model.named_modules() if isinstance(m, nn.Linear)}
    packed = [n for n, m in after.items() if isinstance(m, PackedLinear)]
    assert len(packed) >= 7 * len(model.base_model.layers)
    assert dict.fromkeys(before, True) == {
        n: torch.equal(before[n], m.weight) for n, m in after.items()
    }
    assert held_bytes(model) == pytest.approx(held, rel=0.01)  # nothing is held twice
    x = torch.randn(2, 3, after[packed[0]].in_features).bfloat16()
    attention = model.base_model.layers[0].self_attn
    with torch.inference_mode():
        for name in ("q_proj", "v_proj"):  # parts of one packed weight, with their biases
            layer = getattr(attention, name)
            expected = nn.functional.linear(x, layer.weight, layer.bias)
            torch.testing.assert_close(layer(x), expected, atol=0.02, rtol=0.02)


def test_what_a_plugin_put_there_is_called(tiny_model: Callable[..., Path]) -> None:
    class Doubled(nn.Module):
        in_features, out_features = 0, 0

        def __init__(self, inner: nn.Linear) -> None:
            super().__init__()
            self.inner, self.out_features = inner, inner.out_features

        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = self.inner(x)
            return 2 * y

    model = loaded(tiny_model("llama"), torch.float32)
    for layer in model.base_model.layers:
        for owner, name in ((layer.self_attn, "k_proj"), (layer.mlp, "up_proj")):
            setattr(owner, name, Doubled(getattr(owner, name)))
        layer.mlp.down_proj = Doubled(layer.mlp.down_proj)
    expected = plain(model)
    for mine, theirs in zip(served(model), expected, strict=True):
        torch.testing.assert_close(mine, theirs, atol=1e-4, rtol=1e-4)


def test_layers_with_hooks_are_left_alone(tiny_model: Callable[..., Path]) -> None:
    model = loaded(tiny_model("llama"), torch.float32)
    called: list[int] = []
    model.base_model.layers[0].mlp.up_proj.register_forward_hook(lambda *_: called.append(1))
    served(model)
    assert called
    called.clear()
    model.base_model.layers[0].mlp.register_forward_hook(lambda *_: called.append(1))
    served(model, is_fused=False)
    assert called


def test_a_tied_output_layer_is_held_twice_only_if_asked(tiny_model: Callable[..., Path]) -> None:
    model = loaded(tiny_model("llama", tie_word_embeddings=True), torch.bfloat16)
    ModelRunner(model, SlotStore(model, Limits(1, 8, 64, 1 << 20)))
    held = held_bytes(model)
    assert not isinstance(model.lm_head, PackedLinear)
    expected = served(model)
    pack_output(model)
    table = model.get_input_embeddings().weight
    assert held_bytes(model) == held + table.numel() * table.element_size()
    for mine, theirs in zip(served(model), expected, strict=True):
        torch.testing.assert_close(mine, theirs, atol=0.02, rtol=0.02)


@pytest.mark.parametrize("make", [lambda owner: pack(owner, ("layer",)), stacked])
def test_products_are_the_plain_ones(make: Callable[[Any], Product]) -> None:
    torch.manual_seed(0)
    owner = nn.Module()
    owner.layer = nn.Linear(24, 40)
    plain_layer = owner.layer
    product = make(owner)
    x, other = torch.randn(5, 24), torch.randn(5, 40)
    with torch.inference_mode():
        y = plain_layer(x)
        torch.testing.assert_close(product.linear(x), y)
        torch.testing.assert_close(product.plus(x, other), y + other)


def test_stacked_weights_are_held_once(tiny_model: Callable[..., Path]) -> None:
    model = loaded(tiny_model("qwen2"), torch.float32)
    before = {n: w.clone() for n, w in model.state_dict().items()}
    held = held_bytes(model)
    served(model)
    assert held_bytes(model) == held
    assert all(torch.equal(before[n], w) for n, w in model.state_dict().items())
