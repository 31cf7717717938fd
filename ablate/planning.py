"""From a recipe to arms and trials, with every problem found before anything is loaded."""

from __future__ import annotations

import hashlib
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import chain, count, product
from itertools import combinations as pairs
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from ablate.arrivals import Arrival, Batch
from ablate.compatibility import incompatibilities
from ablate.components import Components
from ablate.domains.base import Domain
from ablate.engines.base import Engine
from ablate.errors import RecipeError, did_you_mean
from ablate.levels import (
    MOST_ARMS,
    OFF,
    Combination,
    Level,
    arm_count,
    combinations,
    make_levels,
    misfit,
)
from ablate.plugins import Installed, Plugin, installed
from ablate.problems import asked_of
from ablate.recipe import Recipe, parse, read_recipe, to_tree, value_problems
from ablate.types import ArmInfo, Problem
from ablate.yamlfile import assign

if TYPE_CHECKING:
    from ablate.running.executor import Executor

BASELINE = "baseline"
LONGEST_ID = 120  # a folder is named after it


@dataclass(frozen=True)
class Arm:
    """One combination of optimizations with everything in it built and checked.

    ``recipe`` is the recipe as this arm sees it, its ``set`` levels applied.
    """

    info: ArmInfo
    recipe: Recipe
    plugins: Mapping[str, Plugin]
    engine: Engine
    domains: Mapping[str, Domain]
    arrival: Arrival = field(default_factory=Batch)

    @property
    def asked(self) -> dict[str, tuple[Problem, ...]]:
        """The problems that it asks, by domain."""
        return asked_of(self.domains, self.arrival.mix)


@dataclass(frozen=True)
class TrialPlan:
    """One trial to run: an arm in a block; plans list them in the order of execution."""

    arm: Arm
    block: int


@dataclass(frozen=True, repr=False)
class Plan:
    """Everything a run will do. The baseline is the first arm."""

    recipe: Recipe
    arms: tuple[Arm, ...]
    trials: tuple[TrialPlan, ...]
    executor: Executor
    levels: tuple[Level, ...] = ()

    def __repr__(self) -> str:
        arms = ", ".join(arm.info.id for arm in self.arms)
        return f"<Plan {self.recipe.name!r}: {len(self.trials)} trials of the arms {arms}>"


def plan_recipe(path: Path, overrides: Sequence[str] = ()) -> Plan:
    """The plan of a recipe file. Raises RecipeError with the recipe's and the plan's problems."""
    return plan_read(*read_recipe(path, overrides))


def plan_read(recipe: Recipe | None, problems: Sequence[str]) -> Plan:
    """The plan of a recipe that was read; ``problems`` are raised together with the plan's."""
    if recipe is None:
        raise RecipeError(problems)
    try:
        plan = make_plan(recipe)
    except RecipeError as error:
        raise RecipeError(dict.fromkeys([*problems, *error.problems])) from None
    if problems:
        raise RecipeError(problems)
    return plan


def make_plan(recipe: Recipe, available: Installed | None = None) -> Plan:
    """The arms and trials of a recipe. Raises RecipeError with every problem found.

    ``available``: what a recipe may name; by default, what is installed.
    """
    components = Components(available or installed())
    for problem in value_problems(recipe):
        components.problem(problem)
    factors = make_levels(recipe, components)
    settings = _Settings(recipe)
    levels = tuple(chain.from_iterable(factors))
    for problem in _claims(recipe, levels):
        components.problem(problem)
    for level in levels:
        settings.check(level, components)
    chosen = _combinations(recipe, factors, components)
    arms = _arms(settings, chosen, components)
    executor = components.executor(recipe)
    if components.problems or executor is None:
        raise RecipeError(components.problems)
    return Plan(recipe, arms, _trials(recipe, arms), executor, levels)


def _claims(recipe: Recipe, levels: Sequence[Level]) -> Iterator[str]:
    """What is wrong with the levels that claims name, and levels that set claims."""
    names = [f"{level.factor}.{level.label}" for level in levels]
    for i, claim in enumerate(recipe.claims):
        for key, named in (("factor", claim.factor), ("other", claim.other)):
            if named is None or named in names or named.split(".")[0] not in recipe.factors:
                continue
            own = [n for n in names if n.startswith(f"{named.split('.')[0]}.")]
            if "." in named or len(own) > 1:
                yield f"claims[{i}].{key}: there is no level {named!r}.{did_you_mean(named, own)}"
    for level in levels:
        if any(key.split(".")[0].split("[")[0] == "claims" for key in level.settings):
            yield f"{level.where}.set.claims: is shared by all arms and cannot be a level"


def _combinations(
    recipe: Recipe, factors: Sequence[tuple[Level, ...]], components: Components
) -> list[Combination]:
    wrong = misfit(recipe.design, factors)
    if wrong:
        components.problem(wrong)
        return [()]
    many = arm_count(recipe.design, factors)
    if many <= MOST_ARMS:
        return combinations(recipe.design, factors)
    components.problem(
        f"design: {recipe.design} makes {many} arms of these factors; {MOST_ARMS} is the most"
    )
    return [()]


def _arms(
    settings: _Settings, chosen: Sequence[Combination], components: Components
) -> tuple[Arm, ...]:
    """The arms, the baseline first and, where a noise floor is wanted, its replicate second."""
    arms: dict[str, Arm] = {}
    conflicts: dict[str, list[str]] = {}
    for combination in chosen:
        name = _unique(_id(combination), arms)
        arm, found = _arm(settings, combination, name, components)
        for conflict in found:
            conflicts.setdefault(conflict, []).append(name)
        if arm:
            arms[name] = arm
    for conflict, names in conflicts.items():
        others = f" and {len(names) - 1} more" if len(names) > 1 else ""
        components.problem(f"arm {names[0]}{others}: {conflict}")
    made = list(arms.values())
    twins = [_twin(arm, arms) for arm in made if arm.arrival.offline]
    if made and made[0].recipe.floor:
        again = replace(made[0].info, id=f"{BASELINE}-again", replicate=1)
        made.insert(1, replace(made[0], info=again))
    return (*made, *twins)


def _twin(arm: Arm, taken: Container[str]) -> Arm:
    """The arm with its requests as a batch."""
    name = _unique(_short(f"{arm.info.id}-offline"), taken)
    batch = Batch(arm.arrival.offline or 1, turns=arm.arrival.turns, mix=arm.arrival.mix)
    return replace(arm, info=replace(arm.info, id=name, offline_of=arm.info.id), arrival=batch)


def _arm(
    settings: _Settings, combination: Combination, name: str, components: Components
) -> tuple[Arm | None, list[str]]:
    problems = _overlaps(combination)
    applied, wrong = settings.applied(combination)
    if applied is None:
        known = any(settings.applied((level,))[0] is None for level in combination)
        return None, problems if known or problems else wrong
    engine = components.engine(applied)
    arrival = components.arrival(applied)
    domains = components.domains(applied)
    model = components.model(applied, engine)
    if engine is None or arrival is None:
        return None, problems
    components.fits(arrival, applied, domains)
    plugins = {n: p for level in combination for n, p in level.plugins.items()}
    problems += incompatibilities(plugins, applied.engine[0], engine, components.engines(), model)
    info = ArmInfo(
        id=name,
        levels=dict.fromkeys(applied.factors, OFF) | {c.factor: c.label for c in combination},
        plugins={n: asdict(p) for n, p in plugins.items()},
        lossless=tuple(n for n, p in plugins.items() if p.lossless),
        settings={k: v for level in combination for k, v in level.settings.items()},
    )
    return Arm(info, applied, plugins, engine, domains, arrival), problems


class _Settings:
    """The recipe as arms see it, parsed once for each choice of ``set`` levels."""

    def __init__(self, recipe: Recipe) -> None:
        self._recipe = recipe
        self._wrong = value_problems(recipe)  # reported by itself
        self._applied: dict[str, tuple[Recipe | None, list[str]]] = {}

    def applied(self, combination: Combination) -> tuple[Recipe | None, list[str]]:
        """The recipe with the levels' settings, and what is wrong with them."""
        settings = [(k, v) for level in combination for k, v in level.settings.items()]
        if not settings:
            return self._recipe, []
        if str(settings) not in self._applied:
            self._applied[str(settings)] = self._apply(settings)
        return self._applied[str(settings)]

    def check(self, level: Level, components: Components) -> None:
        """Report what is wrong with one level by itself."""
        recipe, problems = self.applied((level,))
        for problem in problems:
            if problem not in self._wrong:
                components.problem(f"{level.where}.set: {problem}")
        if level.settings and recipe == self._recipe:
            components.problem(f"{level.where}.set: changes nothing; the recipe says the same")

    def _apply(self, settings: Sequence[tuple[str, Any]]) -> tuple[Recipe | None, list[str]]:
        tree = to_tree(self._recipe)
        problems = [p for key, value in settings if (p := assign(tree, key, value))]
        applied, wrong = parse(tree, self._recipe.base)
        return applied, [*problems, *wrong]


def _overlaps(combination: Combination) -> list[str]:
    """What two levels of one arm both switch on or set."""
    problems = []
    for one, other in pairs(combination, 2):
        both = f"factors {one.factor!r} and {other.factor!r} both"
        problems += [f"{both} switch on {n!r}" for n in one.plugins if n in other.plugins]
        problems += [
            f"{both} set {min(mine, yours, key=len)}"
            for mine, yours in product(one.settings, other.settings)
            if f"{mine}.".startswith(f"{yours}.") or f"{yours}.".startswith(f"{mine}.")
        ]
    return problems


def _trials(recipe: Recipe, arms: Sequence[Arm]) -> tuple[TrialPlan, ...]:
    """Randomized complete blocks: every arm once in each block, in an order of the block's own.

    Offline twins are in the first block only: they are there for their answers.
    """
    trials = []
    for block in range(recipe.blocks):
        order = [arm for arm in arms if not (block and arm.info.offline_of)]
        Random(f"{recipe.seed}/trials/{block}").shuffle(order)
        trials += [TrialPlan(arm, block) for arm in order]
    return tuple(trials)


def _id(combination: Combination) -> str:
    return _short("+".join(level.label for level in combination) or BASELINE)


def _short(name: str) -> str:
    """A name that a folder can have."""
    if len(name) <= LONGEST_ID:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{name[: LONGEST_ID - 9]}-{digest}"


def _unique(name: str, taken: Container[str]) -> str:
    return (
        name
        if name not in taken
        else next(n for i in count(2) if (n := f"{name}-{i}") not in taken)
    )
