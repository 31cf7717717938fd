"""Whether the plugins of an arm go together, and with the engine."""

from __future__ import annotations

from collections.abc import Mapping

from ablate.engines.base import Engine
from ablate.errors import AblateError
from ablate.plugins import (
    ArmPlugins,
    Plugin,
    capability_conflicts,
    claim_conflicts,
    merge_engine_args,
    supports,
)


def supporting(plugin: type[Plugin], engines: Mapping[str, type[Engine]]) -> list[str]:
    """The engines that a plugin works with: those that call a hook it implements."""
    return [name for name, engine in engines.items() if supports(plugin, engine.calls)]


def incompatibilities(
    plugins: Mapping[str, Plugin],
    name: str,
    engine: Engine,
    engines: Mapping[str, type[Engine]],
) -> list[str]:
    """Sentences for all that keeps ``plugins`` from working together in the engine ``name``."""
    problems = [
        f"{plugin_name!r} does not support engine {name!r}; "
        f"it supports: {', '.join(supporting(type(plugin), engines)) or 'none that is installed'}"
        for plugin_name, plugin in plugins.items()
        if not supports(type(plugin), engine.calls)
    ]
    problems += claim_conflicts(plugins, engine.calls)
    try:
        arm = ArmPlugins(plugins)
        problems += capability_conflicts(arm.requirements(name), name, engine.capabilities)
        if "ablate_engine_args" in engine.calls:
            problems += merge_engine_args(arm.engine_args(name))[1]
    except AblateError as error:
        problems.append(str(error))
    except Exception as error:  # a third party's hook can fail in any way
        problems.append(f"a plugin failed while planning: {type(error).__name__}: {error}")
    return problems
