"""What ``ablate plugins`` prints: all that is installed, computed from hooks and never listed."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from rich.console import Console, Group
from rich.padding import Padding
from rich.text import Text

from ablate.compatibility import columns, example, supporting
from ablate.implementations import hooks_of
from ablate.options import describe
from ablate.plugins import ArmPlugins, Found, Installed, Kind, Plugin
from ablate.show.tables import table, titled
from ablate.types import Requirements

REGISTERED: Mapping[Kind, str] = {
    "engine": "Engines",
    "domain": "Domains",
    "arrival": "Arrival processes",
    "executor": "Executors",
    "metric": "Metrics",
}
KINDS: Mapping[str, str] = {
    "ablate_load_model": "weights",
    "ablate_setup_cache": "kv",
    "ablate_decode_step": "decode",
    "ablate_schedule": "schedule",
}
"""Component hook -> the kind of optimization that implements it."""


def print_plugins(installed: Installed, console: Console) -> None:
    """Every optimization, the support matrix, what else is registered, and what is broken."""
    engines = installed.registry.all("engine")
    for found in installed.found:
        if found.plugin:
            heading = Text.assemble((found.name, "bold"), f"  {first_line(found.plugin)}")
            console.print(block(heading, facts(found, found.plugin, engines)))
    heads, marks = support_matrix(installed)
    console.print(titled("Supported engines", heads, marks))
    for kind, title in REGISTERED.items():
        known = installed.registry.all(kind)
        rows = [
            [name, first_line(cls), options(cls), str(installed.registry.origin(kind, name))]
            for name, cls in known.items()
        ]
        if rows:
            console.print(titled(title, ("name", "what", "options", "from"), rows))
    broken = [[f.name, origin(f), f.error or ""] for f in installed.found if f.error]
    if broken:
        console.print(titled("Installed but broken", ("name", "from", "error"), broken))


def support_matrix(installed: Installed) -> tuple[tuple[str, ...], list[list[str]]]:
    """Which optimization works with which engine: headings and rows, computed from the hooks."""
    engines = installed.registry.all("engine")
    names = tuple(columns(engines))
    rows = []
    for name, plugin in installed.optimizations.items():
        fitting = supporting(plugin, engines)
        rows.append([name, *("yes" if engine in fitting else "-" for engine in names)])
    return ("plugin", *names), rows


def facts(found: Found, plugin: type[Plugin], engines: Mapping[str, Any]) -> dict[str, str]:
    """What is known of an optimization, by heading."""
    needs, drops = capabilities(found.name, plugin, engines)
    known = {
        "kind": kind_of(plugin),
        "options": options(plugin),
        "hooks": ", ".join(f"{h} ({use})" for h, use in hooks_of(plugin).items()),
        "engines": ", ".join(supporting(plugin, engines)) or "none that is installed",
        "needs": needs or "nothing",
        "drops": drops or "nothing",
        "lossless": "yes, greedy output is the baseline's" if plugin.lossless else "no",
        "source": plugin.source or "-",
        "from": origin(found),
    }
    return known | ({"deprecated": "\n".join(found.deprecated)} if found.deprecated else {})


def kind_of(plugin: type[Plugin]) -> str:
    """The component that an optimization supplies or decorates; else that it sets arguments."""
    kinds = [kind for hook, kind in KINDS.items() if hook in hooks_of(plugin)]
    return ", ".join(kinds) or "engine arguments"


def capabilities(name: str, plugin: type[Plugin], engines: Mapping[str, Any]) -> tuple[str, str]:
    """What an optimization needs and drops, over all the engines that it supports."""
    asked = requirements(name, plugin, engines)
    if asked is None:
        return ("it fails when it is asked",) * 2
    return (
        ", ".join(sorted(frozenset().union(*(r.needs for r in asked)))),
        ", ".join(sorted(frozenset().union(*(r.drops for r in asked)))),
    )


def requirements(
    name: str, plugin: type[Plugin], engines: Mapping[str, Any]
) -> list[Requirements] | None:
    """Its requirements on each engine that it supports; None where it cannot be asked."""
    known = columns(engines)
    backends = [known[engine][1] or "local" for engine in supporting(plugin, engines)]
    try:
        arm = ArmPlugins({name: example(plugin)})
        return [arm.requirements(backend)[name] for backend in backends]
    except Exception:  # a third party's hook can fail in any way
        return None


def block(heading: Text, known: Mapping[str, str]) -> Group:
    """Facts under a heading."""
    return Group(heading, Padding(table((), known.items()), (0, 0, 1, 2)))


def options(cls: type) -> str:
    """The options of a component, one a line."""
    lines = [
        f"{o.name}: {o.type}" + (" (needed)" if o.default is None else f" = {o.default}")
        for o in describe(cls)
    ]
    return "\n".join(lines) or "-"


def first_line(cls: type) -> str:
    """What a class says that it is."""
    first = (inspect.getdoc(cls) or "").split("\n\n")[0]
    return first.replace("\n", " ").replace("``", "")


def origin(found: Found) -> str:
    return f"{found.distribution} {found.version}"
