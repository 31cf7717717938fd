"""What a plugin implements: its hooks, held against the specifications before any is called."""

from __future__ import annotations

import inspect
import warnings
from types import ModuleType
from typing import Any, Literal

import pluggy

from ablate import hookspecs
from ablate.errors import AblateError, did_you_mean
from ablate.hookspecs import (
    COMPONENT_HOOKS,
    HOOKSPEC_VERSION,
    OLDEST_HOOKSPEC_VERSION,
    PROJECT,
    HookDeprecated,
)

HookUse = Literal["plain", "wrapper"]
Specs = ModuleType | type


def new_manager(specs: Specs = hookspecs) -> pluggy.PluginManager:
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(specs)
    return manager


def hooks_of(plugin: object, specs: Specs = hookspecs) -> dict[str, HookUse]:
    """The hooks a plugin implements, and how.

    Raises AblateError for a method that looks like a hook and is none, or takes what its hook does
    not give: a misspelt or unmarked hook would otherwise be ignored in silence.
    """
    uses: dict[str, HookUse] = {}
    for name in dir(plugin):
        if name.startswith("ablate_"):
            use = _use(plugin, name, specs)
            uses |= {name: use} if use else {}
    return uses


def _use(plugin: object, name: str, specs: Specs) -> HookUse | None:
    """How a plugin uses a hook; None for an attribute that only has such a name."""
    method = getattr(plugin, name)
    marked = getattr(method, f"{PROJECT}_impl", None)
    owner = getattr(plugin, "__name__", type(plugin).__name__)
    known = [n for n in dir(specs) if hasattr(getattr(specs, n), f"{PROJECT}_spec")]
    if name not in known:
        if marked is None and not callable(method):
            return None
        hint = did_you_mean(name, known)
        raise AblateError(f"{owner} defines {name}, which is no hook of ablate.{hint}")
    if marked is None:
        raise AblateError(f"{owner}.{name} lacks the @hookimpl mark and would never be called")
    wrapper = marked["wrapper"] or marked["hookwrapper"]
    if wrapper and name not in COMPONENT_HOOKS:
        raise AblateError(f"{owner}.{name} cannot be a wrapper: it supplies no component")
    _check_arguments(f"{owner}.{name}", method, getattr(specs, name))
    return "wrapper" if wrapper else "plain"


def _check_arguments(name: str, method: Any, spec: Any) -> None:
    given = [p for p in inspect.signature(spec).parameters if p != "self"]
    for wanted in inspect.signature(method).parameters.values():
        fixed = wanted.default is not wanted.empty or wanted.kind is wanted.VAR_KEYWORD
        if wanted.name not in (*given, "self") and not fixed:
            raise AblateError(
                f"{name} takes {wanted.name!r}, which the hook does not give."
                f"{did_you_mean(wanted.name, given)}"
            )


def supports(plugin: object, engine_calls: frozenset[str]) -> bool:
    """Whether a plugin implements a working hook that the engine calls."""
    working = set(hooks_of(plugin)) - {"ablate_requirements", "ablate_evidence", "ablate_register"}
    return bool(working & engine_calls)


def deprecations(plugin: object, specs: Specs = hookspecs) -> tuple[str, ...]:
    """A sentence for each hook or argument that a plugin still uses and should no longer."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        new_manager(specs).register(plugin)
    return tuple(str(w.message) for w in caught if issubclass(w.category, HookDeprecated))


def check_version(plugin: object) -> None:
    """Raise AblateError for a plugin written for specifications that this ablate does not have."""
    declared = getattr(plugin, "hookspec_version", None)
    if declared is None:
        return
    if not isinstance(declared, int):
        raise AblateError(f"hookspec_version must be a whole number, not {declared!r}")
    written = f"was written for hook specifications {declared}, and this ablate has"
    if declared > HOOKSPEC_VERSION:
        raise AblateError(f"{written} {HOOKSPEC_VERSION}: pip install -U ablate-inference")
    if declared < OLDEST_HOOKSPEC_VERSION:
        raise AblateError(
            f"{written} {OLDEST_HOOKSPEC_VERSION} to {HOOKSPEC_VERSION}: upgrade the plugin"
        )
