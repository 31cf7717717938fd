"""What ``ablate plugins show NAME`` prints: everything about one name, and its docstring."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import Console
from rich.text import Text

from ablate.errors import AblateError, did_you_mean
from ablate.plugins import Found, Installed, Plugin
from ablate.show.plugins import REGISTERED, block, facts, options, origin, requirements


def print_one(installed: Installed, name: str, console: Console) -> None:
    """All that has this name. Raises AblateError with the nearest name if nothing has."""
    shown = False
    for what, known, about in _all_of(installed, name):
        console.print(block(Text.assemble((name, "bold"), f"  {what}"), known))
        if about:
            console.print(Text(f"{about}\n"))
        shown = True
    if not shown:
        raise AblateError(
            f"nothing named {name!r} is installed.{did_you_mean(name, names(installed))}"
        )


def names(installed: Installed) -> set[str]:
    """Everything that can be shown."""
    registered = (n for kind in REGISTERED for n in installed.registry.all(kind))
    return {f.name for f in installed.found if f.plugin or f.error} | set(registered)


def _all_of(installed: Installed, name: str) -> Iterator[tuple[str, Mapping[str, str], str]]:
    """What each thing of this name is, what is known of it, and what it says of itself."""
    engines = installed.registry.all("engine")
    for found in installed.found:
        if found.name == name and found.error:
            yield "installed but broken", {"from": origin(found), "error": found.error}, ""
        if found.name == name and found.plugin:
            known = facts(found, found.plugin, engines) | _of_class(found.plugin)
            problems = _in_the_way(found, found.plugin, engines)
            yield "optimization", known | problems, inspect.getdoc(found.plugin) or ""
    for kind in REGISTERED:
        if name in installed.registry.all(kind):
            cls = installed.registry.all(kind)[name]
            known = {
                "options": options(cls),
                **(_of_engine(cls) if kind == "engine" else {}),
                "from": str(installed.registry.origin(kind, name)),
                **_of_class(cls),
            }
            yield kind, known, inspect.getdoc(cls) or ""


def _of_engine(cls: Any) -> dict[str, str]:
    """What plugins can do in an engine."""
    return {
        "back ends": ", ".join(cls.backends) or "itself",
        "calls": ", ".join(sorted(cls.calls)),
        "offers": ", ".join(sorted(cls.capabilities)) or "nothing",
    }


def _of_class(cls: type) -> dict[str, str]:
    return {"class": f"{cls.__module__}.{cls.__qualname__}"}


def _in_the_way(found: Found, plugin: type[Plugin], engines: Mapping[str, Any]) -> dict[str, str]:
    """What keeps it from being used on this machine, with its example's options."""
    asked = requirements(found.name, plugin, engines) or []
    problems = dict.fromkeys(problem for one in asked for problem in one.problems)
    return {"in the way": "\n".join(problems)} if problems else {}
