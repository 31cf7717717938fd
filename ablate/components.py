"""What a recipe names, built: plugins, engine, domains and arrivals, each problem kept once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from random import Random
from typing import TYPE_CHECKING, Any

from ablate.arrivals import Arrival
from ablate.compatibility import NOBODY
from ablate.domains.base import Domain
from ablate.engines.base import Engine, has_gpu
from ablate.errors import AblateError, RecipeError, did_you_mean
from ablate.models import resolve_model
from ablate.options import build
from ablate.plugins import Installed, Kind, Plugin
from ablate.problems import mixed, problems_of
from ablate.recipe import Recipe
from ablate.types import ModelSpec

if TYPE_CHECKING:
    from ablate.running.executor import Executor


class Components:
    """Builds components once each and gathers ``problems``; what cannot be built is None."""

    def __init__(self, installed: Installed) -> None:
        self.installed = installed
        self.problems: dict[str, None] = {}
        self._built: dict[str, tuple[Any, list[str]]] = {}

    def problem(self, sentence: str) -> None:
        self.problems[sentence] = None

    def plugin(self, name: str, options: Mapping[str, Any], where: str) -> Plugin | None:
        cls = self.installed.optimizations.get(name)
        if cls is None:
            self.problem(f"{where}: {self._no_plugin(name)}")
            return None
        plugin, problems = build(cls, options, f"{where}.{name}")
        self.problems.update(dict.fromkeys(problems))
        return plugin

    def engine(self, recipe: Recipe) -> Engine | None:
        name, options = recipe.engine
        engine: Engine | None = self._component("engine", name, options, f"engine.{name}")
        return engine

    def engines(self) -> Mapping[str, type[Engine]]:
        return self.installed.registry.all("engine")

    def executor(self, recipe: Recipe) -> Executor | None:
        name, options = recipe.executor
        executor: Executor | None = self._component("executor", name, options, f"executor.{name}")
        return executor

    def arrival(self, recipe: Recipe) -> Arrival | None:
        options = {k: v for k, v in recipe.workload.items() if k != "arrival"}
        name = str(recipe.workload.get("arrival", "batch"))
        arrival: Arrival | None = self._component("arrival", name, options, "workload")
        return arrival

    def fits(self, arrival: Arrival, recipe: Recipe, domains: Mapping[str, Domain]) -> None:
        """Whether a workload fits the rest of the recipe; a recorded trace may be too short."""
        if arrival.attained and not recipe.slo:
            self.problem("workload.find: there are no bounds to keep; set slo")
        for name in arrival.mix:
            if name not in recipe.domains:
                hint = did_you_mean(name, recipe.domains)
                self.problem(f"workload.mix.{name}: is no domain of the recipe.{hint}")
        try:
            counts = {name: len(problems_of(domain)) for name, domain in domains.items()}
        except Exception:  # reported where the domain was built
            return
        for problem in _left_out(counts, arrival.mix):
            self.problem(problem)
        requests = sum(mixed(counts, arrival.mix).values()) * recipe.sampling.samples
        self._once(f"fits {arrival} {requests}", lambda: (None, _shortage(arrival, requests)))

    def domains(self, recipe: Recipe) -> dict[str, Domain]:
        found = {n: self._domain(n, self._asked(n, recipe)) for n in recipe.domains}
        return {name: domain for name, domain in found.items() if domain}

    def _asked(self, name: str, recipe: Recipe) -> Mapping[str, Any]:
        """A domain's options, with the recipe's protocol if it takes one and names none."""
        options = recipe.domains[name]
        known = self.installed.registry.all("domain").get(name)
        takes = known is not None and any(f.name == "protocol" for f in fields(known))
        return {"protocol": recipe.protocol, **options} if takes and recipe.protocol else options

    def model(self, recipe: Recipe, engine: Engine | None) -> ModelSpec:
        """The model, its name and files checked; an empty one where they are wrong."""
        found: ModelSpec | None = self._once(
            f"model {recipe.model} {engine}", lambda: _model(recipe, engine)
        )
        return found or NOBODY

    def _domain(self, name: str, options: Mapping[str, Any]) -> Domain | None:
        domain: Domain | None = self._component("domain", name, options, f"domains.{name}")
        if domain is not None:
            self._once(f"problems {domain}", lambda: (None, _domain_problems(name, domain)))
        return domain

    def _component(self, kind: Kind, name: str, options: Mapping[str, Any], where: str) -> Any:
        known = self.installed.registry.all(kind)
        if name not in known:
            self.problem(self._unknown(kind, name, where.split(".")[0]))
            return None
        return self._once(f"{where} {name} {options}", lambda: build(known[name], options, where))

    def _once(self, key: str, make: Callable[[], tuple[Any, list[str]]]) -> Any:
        if key not in self._built:
            self._built[key] = make()
        made, problems = self._built[key]
        self.problems.update(dict.fromkeys(problems))
        return made

    def _no_plugin(self, name: str) -> str:
        broken = self.installed.broken.get(name)
        if broken is None:
            return f"there is no plugin {name!r}.{did_you_mean(name, self.installed.optimizations)}"
        origin = next(f for f in self.installed.found if f.name == name)
        return (
            f"plugin {name!r} of {origin.distribution} {origin.version} is installed but cannot be "
            f"loaded: {broken}"
        )

    def _unknown(self, kind: Kind, name: str, where: str) -> str:
        known = self.installed.registry.all(kind)
        optimizations = self.installed.optimizations
        broken = [f"{n}: {e}" for n, e in self.installed.broken.items() if n not in optimizations]
        hint = f" Installed but cannot be loaded: {'; '.join(broken)}." if broken else ""
        return f"{where}: there is no {kind} {name!r}.{did_you_mean(name, known)}{hint}"


def _shortage(arrival: Arrival, requests: int) -> list[str]:
    try:
        arrival.offsets(requests, Random(0))
    except ValueError as error:
        return [f"workload: {error}"]
    return []


def _left_out(counts: Mapping[str, int], mix: Mapping[str, float]) -> Iterator[str]:
    """Domains that weigh so little that none of their problems would be asked."""
    if not all(counts.values()):
        return  # an empty domain is reported by itself
    for name, asked in mixed(counts, mix).items():
        if not asked:
            scarcest = min(counts, key=lambda d: counts[d] / mix.get(d, 1.0))
            yield (
                f"workload.mix: leaves no problem of {name}, as {scarcest} has only "
                f"{counts[scarcest]}; raise domains.{scarcest}.limit, or the weight of {name}"
            )


def _domain_problems(name: str, domain: Domain) -> list[str]:
    where = f"domains.{name}"
    try:
        problems = problems_of(domain)
    except RecipeError as error:
        return [f"{where}: {problem}" for problem in error.problems]
    except Exception as error:  # a third party's data can be missing in any way
        return [f"{where}: cannot be loaded: {type(error).__name__}: {error}"]
    if not problems:
        return [f"{where}: is empty; no problem is left with these options"]
    twice = [i for i, n in Counter(p.id for p in problems).items() if n > 1]
    found = [f"{where}: the problem id {twice[0]!r} is not unique"] if twice else []
    strays = {p.domain for p in problems} - {name}
    return found + [f"{where}: its problems say that they are of domain {s!r}" for s in strays]


def _model(recipe: Recipe, engine: Engine | None) -> tuple[ModelSpec | None, list[str]]:
    try:
        on_host = engine is not None and _holds_on_host(engine)
        return resolve_model(recipe.model, on_host=on_host), []
    except AblateError as error:
        return None, list(getattr(error, "problems", [str(error)]))


def _holds_on_host(engine: Engine) -> bool:
    """Whether weights land in main memory: not on an accelerator, nor in an engine of its own."""
    if "ablate_load_model" not in engine.calls:
        return False
    device = str(getattr(engine, "device", "cpu"))
    return device == "cpu" or (device == "auto" and not has_gpu())
