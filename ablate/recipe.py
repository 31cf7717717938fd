"""Recipes: YAML plus ``key=value`` overrides, validated into one frozen value."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, cast, get_args

from omegaconf import OmegaConf

from ablate.errors import RecipeError, did_you_mean
from ablate.models import DTYPES, ModelConfig
from ablate.options import build, escape
from ablate.schema import (
    CLAIM_METRICS,
    LATENCIES,
    MARGINS,
    OF_THE_RUN,
    RATES,
    SAMPLING_OF,
    SLO,
    Design,
    Keys,
)
from ablate.sections import SectionReader
from ablate.types import Claim, Protocol, Sampling
from ablate.yamlfile import Tree, override, read_yaml, resolve

__all__ = ["ModelConfig", "Recipe", "load_recipe", "parse", "resolved_yaml", "to_tree"]

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")


@dataclass(frozen=True)
class Recipe:
    """A validated recipe. Mappings hold plain values; components are built by the planner.

    ``engine``: (name, options). ``protocol``: that of domains that have one and name none.
    ``domains`` and ``workload`` options are still unvalidated here.
    ``factors``: factor -> its levels, each a mapping of plugin -> options, or ``set`` -> keys.
    ``slo``: seconds. ``timeout``: seconds a trial may take. ``warmup``: requests run before
    measuring. ``floor``: repeat the baseline for the noise floor. ``price``: of an hour of the
    machine. ``executor``: (name, options); where trials run is no part of what a recipe measures.
    ``base``: the recipe's folder.
    """

    name: str
    model: ModelConfig
    domains: Mapping[str, Mapping[str, Any]]
    engine: tuple[str, Mapping[str, Any]] = ("local", {})
    protocol: Protocol | None = None
    sampling: Sampling = field(default_factory=Sampling)
    workload: Mapping[str, Any] = field(default_factory=lambda: {"arrival": "batch"})
    factors: Mapping[str, tuple[Mapping[str, Any], ...]] = field(default_factory=dict)
    design: str = "factorial"
    blocks: int = 3
    seed: int = 0
    warmup: int = 4
    timeout: float = 3600.0
    floor: bool = True
    margins: Mapping[str, float] = field(default_factory=dict)
    price: float | None = None
    slo: Mapping[str, float] = field(default_factory=dict)
    claims: tuple[Claim, ...] = ()
    executor: tuple[str, Mapping[str, Any]] = field(default=("local", {}), compare=False)
    base: Path = field(default=Path(), compare=False)


def load_recipe(path: Path | str, overrides: Iterable[str] = ()) -> Recipe:
    """Read a recipe. Raises RecipeError with every problem in the file and the overrides."""
    recipe, problems = read_recipe(path, overrides)
    if recipe is None or problems:
        raise RecipeError(problems)
    return recipe


def read_recipe(path: Path | str, overrides: Iterable[str] = ()) -> tuple[Recipe | None, list[str]]:
    """A recipe and its problems; None if it cannot even be read for others, such as a planner's."""
    path = Path(path)
    tree = read_yaml(path)
    problems = override(tree, overrides)
    recipe, wrong = read_tree(tree, path.stem, path.parent)
    return recipe, [*problems, *wrong]


def read_tree(tree: Tree, name: str, base: Path) -> tuple[Recipe | None, list[str]]:
    """``read_recipe`` for keys and values as YAML holds them; ``name``: where they give none."""
    tree, unresolved = resolve(tree)
    recipe, wrong = parse({"name": name, **tree}, base.resolve())
    return recipe, [*unresolved, *wrong]


def parse(tree: Mapping[str, Any], base: Path) -> tuple[Recipe | None, list[str]]:
    """A recipe from plain keys and values, None if types are wrong, and every problem found.

    ``base``: the folder that relative paths start from.
    """
    given = _with_protocol({k: v for k, v in tree.items() if v is not None})
    keys, problems = build(Keys, given, "")
    read = SectionReader(base)
    model = read.model(given.get("model", {"id": ""}))
    domains = read.domains(given.get("domains", {}))
    engine = read.one("engine", given.get("engine", "local"))
    executor = read.one("executor", given.get("executor", "local"))
    workload = read.workload(given.get("workload"))
    factors = read.factors(given.get("factors", {}))
    timeout = read.seconds(given.get("timeout", "1h"), "timeout")
    slo = read.slo(given.get("slo"))
    claims = read.claims(given.get("claims", []))
    problems += read.problems
    if keys is None or problems:
        return None, problems
    recipe = Recipe(
        name=keys.name,
        model=model,
        domains=domains,
        engine=engine,
        protocol=keys.protocol,
        sampling=keys.sampling,
        workload=workload,
        factors=factors,
        design=keys.design,
        blocks=keys.blocks,
        seed=keys.seed,
        warmup=keys.warmup,
        timeout=timeout,
        floor=keys.floor,
        margins=keys.margins,
        price=keys.price,
        slo=slo,
        claims=claims,
        executor=executor,
        base=base,
    )
    return recipe, value_problems(recipe)


def _with_protocol(given: dict[str, Any]) -> dict[str, Any]:
    """The protocol's way of drawing tokens, where the recipe leaves it open."""
    sampling = given.get("sampling", {})
    usual = next((of for p, of in SAMPLING_OF.items() if p == given.get("protocol")), None)
    if usual is None or not isinstance(sampling, Mapping):
        return given  # nothing to do, or something wrong that is found below
    return {**given, "sampling": {**usual, **sampling}}


def value_problems(recipe: Recipe) -> list[str]:
    """What is wrong with single values of a recipe whose types are right."""
    sampling = recipe.sampling
    rules = {
        f"name: must be letters, digits, and . _ + - after the first, got {recipe.name!r}": (
            NAME.fullmatch(recipe.name)
        ),
        _one_of("model.dtype", recipe.model.dtype, DTYPES): recipe.model.dtype in DTYPES,
        _one_of("design", recipe.design, get_args(Design)): recipe.design in get_args(Design),
        _least("sampling.temperature", 0, sampling.temperature): sampling.temperature >= 0,
        f"sampling.top_p: must be above 0 and at most 1, got {sampling.top_p}": (
            0 < sampling.top_p <= 1
        ),
        _least("sampling.max_tokens", 1, sampling.max_tokens): sampling.max_tokens >= 1,
        _least("sampling.samples", 1, sampling.samples): sampling.samples >= 1,
        _least("blocks", 1, recipe.blocks): recipe.blocks >= 1,
        _least("warmup", 0, recipe.warmup): recipe.warmup >= 0,
        f"timeout: must be more than 0, got {recipe.timeout}": recipe.timeout > 0,
        "domains: at least one domain is needed": recipe.domains,
        **{_unknown("margins", m, MARGINS): m in MARGINS for m in recipe.margins},
        **{_least(f"margins.{m}", 0, v): 0 <= v < math.inf for m, v in recipe.margins.items()},
        f"price: must be more than 0 and finite, got {recipe.price}": (
            recipe.price is None or 0 < recipe.price < math.inf
        ),
        **{_unknown("slo", s, SLO): s in SLO for s in recipe.slo},
    }
    wrong = [sentence for sentence, holds in rules.items() if not holds]
    return [*wrong, *(p for i, c in enumerate(recipe.claims) for p in _claim(recipe, c, i))]


def _claim(recipe: Recipe, claim: Claim, number: int) -> Iterator[str]:
    """What is wrong with one claim, as far as it can be told without the levels' labels."""
    at = f"claims[{number}]"
    pair = claim.claim in ("interaction", "no_interaction")
    for key, name in (("factor", claim.factor), ("other", claim.other)):
        if name is not None and name.split(".")[0] not in recipe.factors:
            yield f"{at}.{key}: there is no such factor.{did_you_mean(name, recipe.factors)}"
    if pair != (claim.other is not None):
        yield f"{at}.other: {'is needed' if pair else 'is for interactions only'}"
    if pair and claim.other and claim.factor.split(".")[0] == claim.other.split(".")[0]:
        yield f"{at}.other: is of the same factor; its levels are never on together"
    if claim.domain is not None and claim.domain not in ("*", *recipe.domains):
        yield f"{at}.domain: is none of the recipe's.{did_you_mean(claim.domain, recipe.domains)}"
    if claim.metric is not None and claim.metric not in CLAIM_METRICS:
        yield f"{at}.metric: there is no such metric.{did_you_mean(claim.metric, CLAIM_METRICS)}"
    yield from _claim_metric(claim, at)
    if claim.margin is not None and not 0 <= claim.margin < math.inf:
        yield f"{at}.margin: must be at least 0, got {claim.margin}"


def _claim_metric(claim: Claim, at: str) -> Iterator[str]:
    """Whether the kind of claim fits its metric, and ``by`` its unit."""
    about_accuracy = claim.claim in ("non_inferior", "more_accurate", "less_accurate")
    either = claim.claim in ("interaction", "no_interaction", "no_difference")
    if not either and claim.metric and about_accuracy != (claim.metric == "accuracy"):
        yield f"{at}.metric: {claim.claim} cannot be said of {claim.metric}"
    speed = claim.metric in (None, *RATES, *LATENCIES)
    if claim.claim in ("faster", "slower") and not speed and claim.metric != "accuracy":
        yield f"{at}.metric: {claim.claim} cannot be said of {claim.metric}"
    if claim.domain is not None and claim.metric in OF_THE_RUN:
        yield f"{at}.domain: {claim.metric} is the whole run's; name no domain"
    if claim.by is not None:
        if either or claim.claim == "non_inferior":
            yield f"{at}.by: is not for {claim.claim}; it takes margin"
        elif about_accuracy and not 0 < claim.by < 1:
            yield f"{at}.by: must be a share between 0 and 1, got {claim.by}"
        elif not about_accuracy and not 1 <= claim.by < math.inf:
            yield f"{at}.by: must be a factor of at least 1, got {claim.by}"


def to_tree(recipe: Recipe) -> Tree:
    """The keys and plain values of what a recipe measures, with nothing left to a default."""
    tree = {f.name: getattr(recipe, f.name) for f in fields(recipe) if f.compare}
    tree["model"] = asdict(recipe.model)
    tree["sampling"] = asdict(recipe.sampling)
    tree["claims"] = [
        {k: v for k, v in asdict(claim).items() if v is not None} for claim in recipe.claims
    ]
    tree["engine"] = {recipe.engine[0]: recipe.engine[1]}
    return cast("Tree", _plain(tree))


def resolved_yaml(recipe: Recipe) -> str:
    """The recipe as YAML that reads back as an equal recipe, wherever it lies."""
    return OmegaConf.to_yaml(OmegaConf.create(escape(to_tree(recipe))))


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {k: _plain(v) for k, v in value.items()}
    return [_plain(v) for v in value] if isinstance(value, (list, tuple)) else value


def _least(key: str, least: float, value: float) -> str:
    return f"{key}: must be at least {least}, got {value}"


def _one_of(key: str, value: str, known: Sequence[str]) -> str:
    return f"{key}: must be one of {', '.join(known)}, got {value!r}"


def _unknown(section: str, key: str, known: Sequence[str]) -> str:
    return f"{section}.{key}: there is no such metric.{did_you_mean(key, known)}"
