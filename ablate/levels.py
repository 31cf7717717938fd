"""The levels of a recipe's factors, built and labelled, and what a design combines of them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from math import prod
from pathlib import PurePath
from typing import Any

from ablate import fractions
from ablate.components import Components
from ablate.options import text
from ablate.plugins import Plugin
from ablate.recipe import Recipe

OFF = "off"
SET = "set"
UNSAFE = re.compile(r"[^A-Za-z0-9._]+")

# What the whole run shares: arms that differed in these could not be compared.
SHARED = ("name", "factors", "design", "blocks", "seed", "floor", "margins", "slo", "executor")

# A mistyped factorial would otherwise fill the memory before anyone could read the plan.
MOST_ARMS = 1024


@dataclass(frozen=True)
class Level:
    """One level of a factor. ``settings``: dotted recipe keys -> values."""

    factor: str
    where: str
    label: str
    plugins: Mapping[str, Plugin]
    settings: Mapping[str, Any]


Combination = tuple[Level, ...]
"""The levels that are on in an arm, in the order of the factors."""


def make_levels(recipe: Recipe, components: Components) -> list[tuple[Level, ...]]:
    """The levels of each factor; problems go to ``components``."""
    factors = [
        [
            _level(name, f"factors.{name}[{i}]", written, components)
            for i, written in enumerate(levels)
        ]
        for name, levels in recipe.factors.items()
        if levels
    ]
    for levels in factors:
        _report_duplicates(levels, components)
    return _labelled(factors)


def combinations(design: str, factors: Sequence[tuple[Level, ...]]) -> list[Combination]:
    """The arms of a design, the baseline (nothing on) first, without repetitions."""
    made = {
        "fractional": _fraction,
        "one-at-a-time": _alone,
        "leave-one-out": _without_one,
        "cumulative": _growing,
    }
    arms = made.get(design, _all)(factors)
    return list({_key(arm): arm for arm in [(), *arms]}.values())


def arm_count(design: str, factors: Sequence[tuple[Level, ...]]) -> int:
    """How many arms a design would make, at most, without making them."""
    if design == "factorial":
        return prod(len(levels) + 1 for levels in factors)
    if design == "fractional":
        return 1 << fractions.basics(len(factors))
    if design == "leave-one-out":
        return 1 + prod(len(levels) for levels in factors) * (1 + len(factors))
    return 1 + sum(len(levels) for levels in factors)


def _all(factors: Sequence[tuple[Level, ...]]) -> list[Combination]:
    choices = product(*[(None, *levels) for levels in factors])
    return [tuple(level for level in chosen if level) for chosen in choices]


def misfit(design: str, factors: Sequence[tuple[Level, ...]]) -> str | None:
    """Why a design cannot be made of these factors, None if it can."""
    if design != "fractional":
        return None
    if len(factors) < fractions.FEWEST:
        return (
            f"design: fractional needs at least {fractions.FEWEST} factors; of {len(factors)}, "
            f"factorial makes {arm_count('factorial', factors)} arms"
        )
    many = [levels[0].factor for levels in factors if len(levels) > 1]
    if many:
        return (
            f"design: fractional takes factors of one level each, and {', '.join(many)} "
            f"{'has' if len(many) == 1 else 'have'} more; leave one, or use factorial"
        )
    return None


def _fraction(factors: Sequence[tuple[Level, ...]]) -> list[Combination]:
    return [
        tuple(level for (level,), on in zip(factors, chosen, strict=True) if on)
        for chosen in fractions.fraction(len(factors))
    ]


def _alone(factors: Sequence[tuple[Level, ...]]) -> list[Combination]:
    return [(level,) for levels in factors for level in levels]


def _without_one(factors: Sequence[tuple[Level, ...]]) -> list[Combination]:
    full: list[Combination] = list(product(*factors))
    return full + [arm[:i] + arm[i + 1 :] for i in range(len(factors)) for arm in full]


def _growing(factors: Sequence[tuple[Level, ...]]) -> list[Combination]:
    first = tuple(levels[0] for levels in factors)
    return [(*first[:i], level) for i, levels in enumerate(factors) for level in levels]


def _key(arm: Combination) -> tuple[str, ...]:
    return tuple(level.where for level in arm)


def _level(factor: str, where: str, written: Mapping[str, Any], components: Components) -> Level:
    settings = dict(written.get(SET, {}))
    for key in settings:
        if key.split(".")[0].split("[")[0] in SHARED:
            components.problem(f"{where}.set.{key}: is shared by all arms and cannot be a level")
    plugins = {
        name: components.plugin(name, options, where)
        for name, options in written.items()
        if name != SET
    }
    return Level(factor, where, "", {n: p for n, p in plugins.items() if p}, settings)


def _report_duplicates(levels: Sequence[Level], components: Components) -> None:
    for i, level in enumerate(levels):
        for other in levels[:i]:
            same = (level.plugins, level.settings) == (other.plugins, other.settings)
            if same and (level.plugins or level.settings):
                components.problem(f"{level.where}: is the same level as {other.where}")


def _labelled(factors: Sequence[Sequence[Level]]) -> list[tuple[Level, ...]]:
    taken = {OFF, "baseline", "baseline-again"}
    labelled = []
    for levels in factors:
        named = []
        for level in levels:
            label = _unique(_label(level, levels), taken)
            taken.add(label)
            named.append(replace(level, label=label))
        labelled.append(tuple(named))
    return labelled


def _label(level: Level, siblings: Sequence[Level]) -> str:
    """Plugin names and settings; options only where siblings with the same plugins differ."""
    alike = [s for s in siblings if s.plugins.keys() == level.plugins.keys()]
    parts = [
        "-".join([_safe(name), *_distinctive(name, plugin, alike)])
        for name, plugin in level.plugins.items()
    ]
    for key, value in level.settings.items():
        rivals = [s.settings[key] for s in siblings if key in s.settings and s is not level]
        parts.append(_choice(key.split(".")[-1], value, rivals))
    return "+".join(parts)


def _choice(key: str, value: Any, rivals: Sequence[Any]) -> str:
    """A setting; of one with parts its name, and the first part in which it differs from others.

    ``engine: {server: {launch: vllm}}`` is engine-server beside ``engine: vllm``.
    """
    if not isinstance(value, Mapping) or not value:
        return _setting(key, value)
    name, parts = _parts(value)
    label = "-".join(_safe(word) for word in [key, *name])
    others = [theirs for r in rivals if (theirs := _parts(r))[0] == name]
    if name and not others:
        return label
    for path, leaf in parts.items():
        if all(theirs.get(path) != leaf for _, theirs in others):
            return f"{label}-{_setting(path[-1], leaf)}"
    return label


def _parts(value: Any) -> tuple[list[str], dict[tuple[str, ...], Any]]:
    """The keys down to where a mapping branches, and the values below by their further keys."""
    name = []
    while isinstance(value, Mapping) and len(value) == 1:
        ((key, inner),) = value.items()
        if not isinstance(inner, Mapping):
            break
        name.append(key)
        value = inner
    return name, dict(_below(value))


def _below(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _below(inner, (*path, key))
    elif path:
        yield path, value


def _distinctive(name: str, plugin: Plugin, alike: Sequence[Level]) -> list[str]:
    others = [asdict(level.plugins[name]) for level in alike]
    mine = asdict(plugin)
    differ = {k: v for k, v in mine.items() if any(o.get(k) != v for o in others)}
    return [_setting(k, v) for k, v in differ.items() if v != ""]  # nothing was said of it


def _setting(key: str, value: Any) -> str:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        sign = "-" if value < 0 else ""
        return f"{_safe(key)}{sign}{_safe(text(value))}"
    # as recipes write it: null and true, not None and True
    written = _safe(PurePath(value).name if isinstance(value, str) else text(value))
    return f"{_safe(key)}-{written}"


def _safe(text: str) -> str:
    return UNSAFE.sub("-", text).strip("-.")[:40] or "x"


def _unique(label: str, taken: set[str]) -> str:
    label = label or "level"
    numbers = (f"{label}-{n}" for n in range(2, len(taken) + 3))
    return next(name for name in [label, *numbers] if name not in taken)
