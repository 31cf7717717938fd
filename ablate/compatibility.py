"""Whether the plugins of an arm go together, and with the engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import TypeVar, get_type_hints

from ablate.conflicts import capability_conflicts, claim_conflicts
from ablate.engines.base import Engine
from ablate.errors import AblateError
from ablate.implementations import hooks_of, supports
from ablate.plugins import ArmPlugins, Plugin
from ablate.types import ModelSpec

ENGINE_ARGS = "ablate_engine_args"
T = TypeVar("T")
NOBODY = ModelSpec("", "")


def supporting(plugin: type[Plugin], engines: Mapping[str, type[Engine]]) -> list[str]:
    """The engines that a plugin works with, as ``columns`` names them."""
    return [
        name for name, (cls, backend) in columns(engines).items() if _fits(plugin, cls, backend)
    ]


def columns(
    engines: Mapping[str, type[Engine]],
) -> dict[str, tuple[type[Engine], str | None]]:
    """The support matrix's columns: engines, those with several back ends once for each."""
    found: dict[str, tuple[type[Engine], str | None]] = {}
    for name, cls in engines.items():
        if not cls.backends:
            found[name] = (cls, None)
        for backend in cls.backends:
            found[name if backend == name else f"{name}: {backend}"] = (cls, backend)
    return found


def _fits(plugin: type[Plugin], engine: type[Engine], backend: str | None) -> bool:
    if supports(plugin, engine.calls - {ENGINE_ARGS}):
        return True
    if backend is None or not supports(plugin, engine.calls):
        return False
    try:
        args = ArmPlugins({"it": example(plugin)}).engine_args(backend, NOBODY)["it"]
    except Exception:  # it has options that no example can be made of: its arms are asked
        return True
    return args is not None


def example(cls: type[T]) -> T:
    """A component with its default options, its ``example``'s, or 1 or text where one is needed."""
    hints = get_type_hints(cls)
    needed = {
        f.name: 1 if hints[f.name] in (int, float) else "example"
        for f in fields(cls)  # type: ignore[arg-type]
        if f.init and f.default is MISSING and f.default_factory is MISSING
    }
    return cls(**{**needed, **getattr(cls, "example", {})})


def incompatibilities(
    plugins: Mapping[str, Plugin],
    name: str,
    engine: Engine,
    engines: Mapping[str, type[Engine]],
    model: ModelSpec = NOBODY,
) -> list[str]:
    """Sentences for all that keeps ``plugins`` from working together in the engine ``name``."""
    try:
        return _incompatibilities(plugins, name, engine, engines, model)
    except AblateError as error:
        return [str(error)]
    except Exception as error:  # a third party's hook can fail in any way
        return [f"a plugin failed while planning: {type(error).__name__}: {error}"]


def _incompatibilities(
    plugins: Mapping[str, Plugin],
    name: str,
    engine: Engine,
    engines: Mapping[str, type[Engine]],
    model: ModelSpec,
) -> list[str]:
    arm = ArmPlugins(plugins)
    by_plugin = arm.engine_args(engine.backend, model) if ENGINE_ARGS in engine.calls else {}
    called = engine.calls - {ENGINE_ARGS}
    strangers = [
        plugin
        for plugin in plugins
        if by_plugin.get(plugin) is None and not supports(type(plugins[plugin]), called)
    ]
    problems = [_stranger(s, plugins[s], name, engine, engines) for s in strangers]
    problems += claim_conflicts(plugins, engine.calls)
    asked = arm.requirements(engine.backend)
    problems += capability_conflicts(asked, engine.backend, engine.capabilities)
    if ENGINE_ARGS in engine.calls and not strangers:
        merged, conflicts = engine.merged_args(by_plugin)
        problems += conflicts
        problems += engine.problems(merged)
    return problems


def _stranger(
    name: str, plugin: Plugin, engine_name: str, engine: Engine, engines: Mapping[str, type[Engine]]
) -> str:
    known = ", ".join(supporting(type(plugin), engines)) or "none that is installed"
    shown = (
        engine_name
        if engine.backend in (engine_name, "local")
        else (f"{engine_name}: {engine.backend}")
    )
    refused = ENGINE_ARGS in hooks_of(plugin) and shown in known.split(", ")
    options = " with these options" if refused else ""
    why = f". {engine.refusal}" if engine.refusal else ""
    return f"{name!r} does not support engine {shown!r}{options}; it supports: {known}{why}"
