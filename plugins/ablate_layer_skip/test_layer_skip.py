"""The model drafts for itself: exactly, with its own weights and the layers that were asked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from ablate.conflicts import claim_conflicts
from ablate.engines.local.loading import load_model
from ablate.engines.local.runner import ModelRunner
from ablate.engines.local.sampler import SeededSampler
from ablate.engines.local.slots import SlotStore
from ablate.errors import TrialError
from ablate.plugins import Plugin
from ablate.tensors import held_bytes
from ablate.testing import check_plugin
from ablate.types import Limits, ModelSpec, Sampling
from ablate_layer_skip import LayerSkip
from ablate_layer_skip.view import shallow
from ablate_ngram import Ngram
from ablate_prefix_cache import PrefixCache
from tests.local.reference import reference
from tests.local.watched import Watched

DEEP = {"num_hidden_layers": 4}
SHAPES: dict[str, dict[str, Any]] = {
    "llama": {},
    "qwen2": {"use_sliding_window": True, "sliding_window": 24, "max_window_layers": 2},
    "qwen3": {},
    "mistral": {"sliding_window": 16},
}
TinyModel = Callable[..., Path]


@pytest.fixture(scope="session")
def deep(tiny_model: TinyModel) -> Callable[[str], Path]:
    """Later layers say little, as in models that draft well from early ones."""

    def make(architecture: str) -> Path:
        path = tiny_model(architecture, 5, **DEEP, **SHAPES[architecture])
        marker = path / "quiet"
        if not marker.exists():
            model = load_model(ModelSpec("deep", str(path), dtype="float32"), "cpu")
            with torch.no_grad():
                for layer in model.model.layers[1:]:
                    layer.self_attn.o_proj.weight.mul_(0.2)
                    layer.mlp.down_proj.weight.mul_(0.2)
            model.save_pretrained(path)
            marker.touch()
        return path

    return make


@pytest.mark.parametrize("options", [{"exit_layer": 2}, {"skip": [1, 2]}], ids=["exit", "skip"])
@pytest.mark.parametrize("architecture", SHAPES)
def test_changes_nothing_and_drafts_are_kept_and_dropped(
    deep: Callable[[str], Path], architecture: str, options: dict[str, Any]
) -> None:
    path = deep(architecture)
    session = Watched(path, {"layer_skip": LayerSkip(k=3, **options)})
    assert session.serve() == reference(path).tokens
    drafted = session.counted["spec_num_draft_tokens"]
    assert 0 < session.counted["spec_num_accepted_tokens"] < drafted


def test_changes_nothing_when_preempted_and_cached(deep: Callable[[str], Path]) -> None:
    path = deep("mistral")
    plugins: dict[str, Plugin] = {
        "layer_skip": LayerSkip(k=2, exit_layer=2),
        "prefix_cache": PrefixCache(block_size=8),
    }
    session = Watched(path, plugins, budget=900, max_num_batched_tokens=33, concurrency=8)
    assert session.serve() == reference(path).tokens
    assert session.counted["num_preemptions"] > 0
    assert session.counted["prefix_cache_hits"] > 0


def test_all_but_a_layer_that_does_nothing_is_the_model(deep: Callable[[str], Path]) -> None:
    """Every draft is accepted: layers, windows and places in the store are the right ones."""
    path = deep("qwen2")
    session = Watched(path, {"layer_skip": LayerSkip(k=3, skip=[1])})
    for name in ("self_attn.o_proj", "mlp.down_proj"):
        weight = session.session.model.model.layers[1].get_submodule(name).weight
        with torch.no_grad():
            weight.zero_()
    session.serve()
    counted = session.counted
    assert counted["spec_num_accepted_tokens"] > 0.99 * counted["spec_num_draft_tokens"]


def test_takes_no_weights_and_the_memory_of_its_layers(deep: Callable[[str], Path]) -> None:
    path = deep("llama")
    plain = Watched(path).session.weight_bytes
    session = Watched(path, {"layer_skip": LayerSkip(exit_layer=1)}).session
    assert session.weight_bytes == plain
    parts = session.evidence_state("measured").components
    assert parts["step"].kv_bytes_per_token == parts["cache"].bytes_per_token / 4


def test_the_model_itself_stays_as_it_is(deep: Callable[[str], Path]) -> None:
    model = load_model(ModelSpec("deep", str(deep("qwen2"))), "cpu")
    view = shallow(model, lambda layers: [1, layers - 1])
    assert [layer.self_attn.layer_idx for layer in view.model.layers] == [0, 1]
    assert view.config.layer_types == ["full_attention", "sliding_attention"]
    assert [layer.self_attn.layer_idx for layer in model.model.layers] == [0, 1, 2, 3]
    assert model.config.num_hidden_layers == len(model.model.layers) == 4
    assert held_bytes(model, view) == held_bytes(model)
    assert view.model.layers[1].mlp is model.model.layers[3].mlp


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_what_the_engine_packs_is_packed_once(deep: Callable[[str], Path], dtype: str) -> None:
    model = load_model(ModelSpec("deep", str(deep("llama")), dtype=dtype), "cpu")
    store = SlotStore(model, Limits(4, 64, 64, 1 << 20))
    step = LayerSkip(exit_layer=3).ablate_decode_step(model, store, SeededSampler(Sampling()))
    view: Any = step._proposer._model  # type: ignore[attr-defined]
    assert len(view.model.layers) == 3
    assert held_bytes(model, view) == held_bytes(model)


@pytest.mark.parametrize("compiled", [False, True])
def test_compiled_layers_are_not_gone_round_where_they_draft(
    deep: Callable[[str], Path], compiled: bool
) -> None:
    model = load_model(ModelSpec("deep", str(deep("llama"))), "cpu")
    for layer in model.model.layers if compiled else ():
        layer.compile(backend="eager")
    view = shallow(model, lambda layers: [0, 1])
    runner = ModelRunner(view, SlotStore(view, Limits(4, 64, 64, 1 << 20)))
    assert (runner.fused is None) == compiled


def test_it_does_what_it_says(deep: Callable[[str], Path]) -> None:
    check_plugin(LayerSkip(exit_layer=2), model=deep("qwen3"))


def test_two_drafters_conflict() -> None:
    plugins: dict[str, Plugin] = {"layer_skip": LayerSkip(exit_layer=1), "ngram": Ngram()}
    (problem,) = claim_conflicts(plugins)
    assert "both supply ablate_decode_step" in problem


@pytest.mark.parametrize("options", [{"exit_layer": 4}, {"skip": [4]}, {"skip": [0, 1, 2, 3]}])
def test_layers_that_the_model_has_not(
    deep: Callable[[str], Path], options: dict[str, Any]
) -> None:
    with pytest.raises(TrialError, match="the model has 4, exit_layer is"):
        Watched(deep("llama"), {"layer_skip": LayerSkip(**options)})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "say either exit_layer"),
        ({"exit_layer": 1, "skip": [1]}, "say either exit_layer"),
        ({"exit_layer": 0}, "at least 1, not 0"),
        ({"skip": [1, 1]}, "once each"),
        ({"skip": [-1]}, "counted from 0"),
        ({"exit_layer": 1, "k": 0}, "k must be at least 1"),
    ],
)
def test_bad_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LayerSkip(**options)
