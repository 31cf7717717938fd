"""Plugins: how they are found, what makes one broken, and the manager of an arm."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from typing import Any

import pytest

from ablate import arrivals, plugins
from ablate.conflicts import claim_conflicts
from ablate.engine_args import merge_engine_args
from ablate.errors import AblateError, TrialError
from ablate.hookspecs import COMPONENT_HOOKS
from ablate.implementations import hooks_of, supports
from ablate.plugins import ArmPlugins, Origin, Plugin, Registry, hookimpl, installed
from ablate.types import Evidence, EvidenceState, Requirements
from tests import stand_ins

STATE = EvidenceState("local", "measured", {}, {})


@dataclass(frozen=True)
class Cacher(Plugin):
    """Decorates what another supplies."""

    sizes: tuple[int, ...] = ()

    @hookimpl(wrapper=True)
    def ablate_setup_cache(self, model: Any, limits: Any) -> Generator[None, Any, Any]:
        cache = yield
        return f"decorated {cache}"

    @hookimpl
    def ablate_evidence(self, state: EvidenceState) -> Evidence:
        return Evidence("cacher", True, "hits", {"hits": 1.0})


@dataclass(frozen=True)
class Misspelt(Plugin):
    @hookimpl
    def ablate_load_modell(self) -> None:
        """No hook has this name."""


@dataclass(frozen=True)
class Unmarked(Plugin):
    def ablate_load_model(self, model: Any, device: str) -> Any:
        return object()


@dataclass(frozen=True)
class WrappedEvidence(Plugin):
    @hookimpl(wrapper=True)
    def ablate_evidence(self, state: EvidenceState) -> Iterator[Any]:
        return (yield)


@dataclass(frozen=True)
class WrongArgument(Plugin):
    @hookimpl
    def ablate_load_model(self, modle: Any) -> Any:
        return object()


@dataclass(frozen=True)
class Forgetful(Plugin):
    @hookimpl
    def ablate_setup_cache(self, model: Any, limits: Any) -> Any:
        return None


@dataclass(frozen=True)
class Lossy(Plugin):
    """Forgets every return."""

    @hookimpl(wrapper=True)
    def ablate_setup_cache(self, model: Any, limits: Any) -> Generator[None, Any, Any]:
        yield

    @hookimpl
    def ablate_requirements(self, engine: str) -> Any:
        Requirements(drops=frozenset({"rollback"}))

    @hookimpl
    def ablate_evidence(self, state: EvidenceState) -> Any:
        Evidence("lossy", True, "")


def ablate_register(registry: Registry) -> None:
    """Unmarked: this module would never be asked."""


class TestFinding:
    @pytest.fixture
    def found(self, monkeypatch: pytest.MonkeyPatch) -> Any:
        def find(**points: str) -> plugins.Installed:
            made = [EntryPoint(n, f"{__name__}:{v}", "ablate") for n, v in points.items()]
            monkeypatch.setattr(plugins, "entry_points", lambda group: made)
            return installed.__wrapped__()

        return find

    def test_optimizations_and_registrars(self, found: Any) -> None:
        monkey = found(cacher="Cacher", more="stand_ins.arrivals")
        assert monkey.optimizations == {"cacher": Cacher}
        assert set(monkey.registry.all("arrival")) == set(arrivals.BUILT_IN)
        assert monkey.broken == {}

    @pytest.mark.parametrize(
        ("name", "why"),
        [
            (
                "Misspelt",
                "ablate_load_modell, which is no hook of ablate. Did you mean",
            ),
            ("WrongArgument", "takes 'modle', which the hook does not give. Did you mean 'model'?"),
            ("Unmarked", "lacks the @hookimpl mark"),
            ("WrappedEvidence", "cannot be a wrapper"),
            ("NoSuchName", "AttributeError"),
            ("STATE", "neither a Plugin class nor"),
        ],
    )
    def test_what_cannot_be_used_is_kept_with_its_reason(
        self, found: Any, name: str, why: str
    ) -> None:
        result = found(bad=name, cacher="Cacher")
        assert why in result.broken["bad"]
        assert set(result.optimizations) == {"cacher"}

    def test_two_components_of_one_name(self) -> None:
        registry = Registry()
        registry.add("domain", "x", stand_ins.Count)
        registry.adding = Origin("more", "ablate-more", "2")
        with pytest.raises(AblateError, match=r"the domain 'x', \? \? and ablate-more 2;"):
            registry.add("domain", "x", stand_ins.Count)

    def test_a_component_that_is_no_class(self) -> None:
        with pytest.raises(AblateError, match="the domain 'x' must be a dataclass"):
            Registry().add("domain", "x", stand_ins.Count())

    def test_a_kind_that_there_is_not(self) -> None:
        kind: Any = "domian"
        with pytest.raises(
            AblateError, match=r"no kind 'domian' of component\. Did you mean 'domain'"
        ):
            Registry().add(kind, "x", stand_ins.Count)

    def test_the_built_in_ones_come_through_entry_points(self) -> None:
        found = installed()
        assert {"draft", "ngram", "prefix_cache", "kv_int8", "shortest_first"} <= set(
            found.optimizations
        )
        assert "local" in found.registry.all("engine")
        assert {"arithmetic", "logic"} <= set(found.registry.all("domain"))


class TestArm:
    def test_the_engine_supplies_what_nobody_claims(self) -> None:
        def default(model: Any, limits: Any) -> str:
            return f"plain cache of {model}"

        def component(arm: ArmPlugins) -> Any:
            return arm.component("ablate_setup_cache", default, model="m", limits=None)

        assert component(ArmPlugins({})) == "plain cache of m"
        assert component(ArmPlugins({"c": Cacher()})) == "decorated plain cache of m"

    def test_a_hook_that_returns_nothing_fails_the_arm(self) -> None:
        arm = ArmPlugins({"forgetful": Forgetful()})
        with pytest.raises(TrialError, match="returned None; implemented by 'forgetful'"):
            arm.component("ablate_setup_cache", lambda model, limits: 1, model=1, limits=1)

    def test_a_hook_that_returns_nothing_is_not_hidden_by_one_that_decorates(self) -> None:
        arm = ArmPlugins({"forgetful": Forgetful(), "cacher": Cacher()})
        with pytest.raises(TrialError, match="returned None; implemented by 'forgetful'"):
            arm.component("ablate_setup_cache", lambda model, limits: 1, model=1, limits=1)

    def test_a_decorator_that_returns_nothing_is_named_alone(self) -> None:
        arm = ArmPlugins({"lossy": Lossy()})
        with pytest.raises(TrialError, match=r"returned None; implemented by 'lossy'$"):
            arm.component("ablate_setup_cache", lambda model, limits: 1, model=1, limits=1)

    def test_requirements_that_are_none(self) -> None:
        arm = ArmPlugins({"lossy": Lossy()})
        with pytest.raises(AblateError, match="of 'lossy' returned None; it must return a Req"):
            arm.requirements("local")

    def test_a_wrong_argument_name_is_found_at_registration(self) -> None:
        with pytest.raises(Exception, match="modle"):
            ArmPlugins({"wrong": WrongArgument()})

    def test_requirements_of_plugins_whose_options_cannot_be_hashed(self) -> None:
        arm = ArmPlugins({"s": stand_ins.Speculator(sizes=[1]), "c": Cacher()})
        assert arm.requirements("local") == {
            "s": Requirements(needs=frozenset({"rollback"})),
            "c": Requirements(),
        }

    def test_evidence_is_demanded(self) -> None:
        assert ArmPlugins({"c": Cacher()}).evidence(STATE)[0].numbers == {"hits": 1.0}
        for plugin, why in ((Forgetful(), "it has no ablate_evidence"), (Lossy(), "returned None")):
            with pytest.raises(TrialError, match=f"'f' gave no evidence .*{why}") as caught:
                ArmPlugins({"f": plugin}).evidence(STATE)
            assert caught.value.kind == "evidence"

    def test_arms_do_not_share_a_manager(self) -> None:
        ArmPlugins({"c": Cacher()})
        plain = ArmPlugins({}).component(
            "ablate_setup_cache", lambda model, limits: 1, model=1, limits=1
        )
        assert plain == 1


class TestConflicts:
    def test_a_claim_counts_where_the_engine_asks_for_it(self) -> None:
        both = {"a": stand_ins.Loader(), "b": stand_ins.OtherLoader()}
        assert "'a' and 'b' both supply ablate_load_model" in claim_conflicts(both)[0]
        assert claim_conflicts(both, {"ablate_engine_args"}) == []
        assert claim_conflicts({"a": Forgetful(), "b": Cacher()}) == []

    def test_engine_arguments_merge_by_leaf(self) -> None:
        args: dict[str, Mapping[str, Any]] = {
            "a": {"spec": {"method": "ngram"}, "seed": 1},
            "b": {"spec": {"k": 4}, "seed": 2},
        }
        merged, problems = merge_engine_args(args)
        assert merged == {"spec": {"method": "ngram", "k": 4}, "seed": 1}
        assert problems == ["'a' and 'b' both set engine argument 'seed'"]

    def test_support_is_computed_from_hooks(self) -> None:
        assert supports(Cacher, frozenset(COMPONENT_HOOKS))
        assert not supports(Cacher, frozenset({"ablate_engine_args"}))
        assert supports(stand_ins.Loader, frozenset({"ablate_engine_args"}))
        assert hooks_of(Cacher) == {"ablate_setup_cache": "wrapper", "ablate_evidence": "plain"}
