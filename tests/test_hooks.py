"""A test for each hook: when it is asked, with what, and what becomes of its answer."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from ablate.engines.local.interfaces import DecodeStep, KVStore, Sampler, Scheduler
from ablate.engines.local.session import LocalSession
from ablate.engines.text import Codebook
from ablate.errors import RecipeError, TrialError
from ablate.hookspecs import HOOKS, hookimpl
from ablate.planning import make_plan
from ablate.plugins import ArmPlugins, Plugin, installed
from ablate.recipe import ModelConfig, Recipe
from ablate.testing import tiny_model
from ablate.types import Evidence, EvidenceState, Limits, ModelSpec, Requirements
from tests import stand_ins
from tests.local.serving import open_session, prompts_of_many_lengths, serve

MODEL = ModelSpec("test", "nowhere")


@dataclass(frozen=True)
class Spy(Plugin):
    """Decorates nothing, and notes in which order and with what it was asked."""

    asked: dict[str, Any] = field(default_factory=dict)

    @hookimpl(wrapper=True)
    def ablate_load_model(self, model: ModelSpec, device: str) -> Generator[None, Any, Any]:
        loaded = yield
        self.asked["ablate_load_model"] = (model, device, loaded)
        return loaded

    @hookimpl(wrapper=True)
    def ablate_setup_cache(self, model: Any, limits: Limits) -> Generator[None, KVStore, KVStore]:
        cache = yield
        self.asked["ablate_setup_cache"] = (model, limits, cache)
        return cache

    @hookimpl(wrapper=True)
    def ablate_decode_step(
        self, model: Any, cache: KVStore, sampler: Sampler, codebook: Codebook
    ) -> Generator[None, DecodeStep, DecodeStep]:
        step = yield
        self.asked["ablate_decode_step"] = (model, cache, codebook, step)
        return step

    @hookimpl(wrapper=True)
    def ablate_schedule(
        self, cache: KVStore, limits: Limits
    ) -> Generator[None, Scheduler, Scheduler]:
        scheduler = yield
        self.asked["ablate_schedule"] = (cache, limits, scheduler)
        return scheduler


@dataclass(frozen=True)
class Demanding(Plugin):
    """Asks for something, and for an engine's arguments."""

    applied: bool | None = True

    @hookimpl
    def ablate_requirements(self, engine: str) -> Requirements:
        return Requirements(problems=(f"cannot be had on {engine}",))

    @hookimpl
    def ablate_engine_args(self, engine: str, model: ModelSpec) -> Mapping[str, Any] | None:
        return {"speed": {"of": model.name}} if engine == "vllm" else None

    @hookimpl
    def ablate_setup_cache(self, model: Any, limits: Limits) -> Any:
        raise NotImplementedError

    @hookimpl
    def ablate_evidence(self, state: EvidenceState) -> Evidence:
        return Evidence("demanding", self.applied, f"after {state.stage}")


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> tuple[LocalSession, dict[str, Any]]:
    spy = Spy()
    path: Path = tiny_model(tmp_path_factory.mktemp("model"))
    session = open_session(path, plugins={"spy": spy})
    serve(session, prompts_of_many_lengths(3))
    return session, spy.asked


Opened = tuple[LocalSession, dict[str, Any]]


def test_ablate_load_model(opened: Opened) -> None:
    session, asked = opened
    assert list(asked) == list(HOOKS[:4])  # once each, in this order, however much is served
    spec, device, model = asked["ablate_load_model"]
    assert (spec.name, device) == ("test", "cpu")
    assert model is session.model
    assert not model.training


def test_ablate_setup_cache(opened: Opened) -> None:
    session, asked = opened
    model, limits, cache = asked["ablate_setup_cache"]
    assert model is session.model
    assert limits.max_model_len == 1024
    assert session.evidence_state("measured").components["cache"] is cache


def test_ablate_decode_step(opened: Opened) -> None:
    session, asked = opened
    model, cache, codebook, step = asked["ablate_decode_step"]
    assert model is session.model
    assert codebook.text(codebook.tokens("a word")) == "a word"
    assert cache is asked["ablate_setup_cache"][2]
    assert session.evidence_state("measured").components["step"] is step


def test_ablate_schedule(opened: Opened) -> None:
    session, asked = opened
    cache, _, scheduler = asked["ablate_schedule"]
    assert cache is asked["ablate_setup_cache"][2]
    assert session.evidence_state("measured").components["scheduler"] is scheduler
    assert scheduler.running == scheduler.waiting == 0


def test_ablate_engine_args() -> None:
    arm = ArmPlugins({"demanding": Demanding()})
    assert arm.engine_args("vllm", MODEL) == {"demanding": {"speed": {"of": "test"}}}
    assert not arm.engine_args("sglang", MODEL)["demanding"]


def test_ablate_requirements() -> None:
    base = stand_ins.available()
    available = replace(base, optimizations={"demanding": Demanding})
    recipe = Recipe(
        "test", ModelConfig("some/model"), {"count": {}}, factors={"x": ({"demanding": {}},)}
    )
    with pytest.raises(RecipeError, match="demanding: cannot be had on"):
        make_plan(recipe, available)


def test_ablate_evidence() -> None:
    state = EvidenceState("local", "measured", {}, {})
    (found,) = ArmPlugins({"demanding": Demanding()}).evidence(state)
    assert (found.applied, found.detail) == (True, "after measured")
    for applied in (False, None):
        with pytest.raises(TrialError, match="after measured") as caught:
            ArmPlugins({"demanding": Demanding(applied)}).evidence(state)
        assert caught.value.kind == "evidence"


def test_ablate_register() -> None:
    registry = installed().registry
    assert {"arithmetic", "gsm8k", "reasoning_gym"} <= set(registry.all("domain"))
    assert "ablate-inference" in registry.origin("domain", "gsm8k")


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_has_a_test(hook: str) -> None:
    assert callable(globals()[f"test_{hook}"])
