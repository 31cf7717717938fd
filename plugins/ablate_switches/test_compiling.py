"""torch.compile on the in-process engine: what runs compiled, exactly, and what is in its way."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch._dynamo import config, reset

from ablate.engines.local.layers import decoder_layers
from ablate.errors import TrialError
from ablate.plugins import Plugin
from ablate.testing import check_plugin
from ablate_layer_skip import LayerSkip
from ablate_prefix_cache import PrefixCache
from ablate_rtn import Rtn
from ablate_switches import regional
from ablate_switches.compiling import Compile
from tests.engines.serving import state
from tests.local.reference import PROMPTS, reference
from tests.local.watched import Watched

TinyModel = Callable[..., Path]
BUILDS = pytest.mark.skipif(shutil.which("g++") is None, reason="there is no C++ compiler")


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    with config.patch(recompile_limit=config.recompile_limit, fail_on_recompile_limit_hit=False):
        yield
    reset()


@pytest.fixture
def _unbuilt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Traces and cuts into graphs as always, and runs the graphs without building code."""
    monkeypatch.setattr(regional, "BACKEND", "eager")


def compiled(path: Path, plugins: dict[str, Plugin], **options: Any) -> Watched:
    return Watched(path, {**plugins, "compile": Compile()}, **options)


def numbers(session: Watched) -> dict[str, float]:
    shown = Compile().ablate_evidence(session.session.evidence_state("measured"))
    assert shown.applied, shown.detail
    return dict(shown.numbers)


@pytest.mark.usefixtures("_unbuilt")
@pytest.mark.parametrize(
    ("architecture", "config"),
    [
        ("llama", {}),
        pytest.param("qwen2", {"sliding_window": 16}, marks=pytest.mark.slow),
        pytest.param("qwen3", {}, marks=pytest.mark.slow),
    ],
)
def test_layers_run_compiled_and_nothing_is_compiled_late(
    tiny_model: TinyModel, architecture: str, config: dict[str, Any]
) -> None:
    path = tiny_model(architecture, 5, num_hidden_layers=6, **config)
    session = compiled(path, {})
    assert session.serve() == reference(path).tokens
    shown, steps = numbers(session), session.counted["num_steps"]
    # around attention: norm, projections, output projection, norm and feed-forward
    assert shown["compiled_runs"] == steps * 6 * 4
    assert shown["compiled_graphs"] < 12
    assert shown["compiled_while_serving"] == 0
    session.serve(PROMPTS[:3])
    assert numbers(session)["compiled_while_serving"] == 0


@pytest.mark.usefixtures("_unbuilt")
def test_with_other_optimizations(tiny_model: TinyModel) -> None:
    path = tiny_model("llama", 5)
    plugins: dict[str, Plugin] = {
        "rtn": Rtn(bits=8),
        "layer_skip": LayerSkip(k=2, exit_layer=1),
        "prefix_cache": PrefixCache(),
    }
    plain = Watched(path, plugins).serve()
    session = compiled(path, plugins, max_num_batched_tokens=45)
    assert session.serve() == plain
    assert numbers(session)["compiled_while_serving"] == 0


@pytest.mark.slow
@BUILDS
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch's own, of its mkldnn graphs
def test_built_code_is_exact_and_checked(tiny_model: TinyModel) -> None:
    path = tiny_model("llama", 5)
    session = compiled(path, {})
    assert session.serve() == reference(path).tokens
    assert numbers(session)["compiled_while_serving"] == 0
    check_plugin(Compile(), model=path)


def test_an_engine_that_compiled_nothing(tiny_model: TinyModel) -> None:
    session = Watched(tiny_model("llama", 5))
    session.serve(PROMPTS[:1])
    shown = Compile().ablate_evidence(session.session.evidence_state("measured"))
    assert (shown.applied, shown.detail) == (False, "no compiled code ran")


def test_what_is_missing_is_said_before_anything_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    (problem,) = Compile().ablate_requirements("local").problems
    assert "there is no no-such-compiler; install g++" in problem
    assert Compile().ablate_requirements("vllm").problems == ()
    (problem,) = Compile(False).ablate_requirements("local").problems
    assert "leave enabled: false out" in problem


def test_other_engines_are_asked_as_before() -> None:
    assert Compile().ablate_evidence(state("vllm", enforce_eager=False)).applied is True


def test_a_model_with_its_layers_elsewhere() -> None:
    class Other(torch.nn.Module):
        base_model_prefix = "model"

    with pytest.raises(TrialError, match="Other has none there"):
        decoder_layers(Other())
