"""What a plugin says it needs, takes away and lacks, asked without anything being loaded."""

from __future__ import annotations

from collections.abc import Iterator

from ablate import plugins
from ablate.compatibility import supporting
from ablate.engines.base import CAPABILITIES, Engine
from ablate.plugins import ArmPlugins, Plugin
from ablate.testing.findings import Finding, judged, said
from ablate.types import Requirements


def backends(plugin: Plugin) -> list[str]:
    """What hooks are told of the installed engines that the plugin supports."""
    engines: dict[str, type[Engine]] = dict(plugins.installed().registry.all("engine"))
    names = [name.rpartition(": ")[2] for name in supporting(type(plugin), engines)]
    return list(dict.fromkeys(names))


def of(plugin: Plugin, backend: str) -> Requirements:
    return ArmPlugins({"it": plugin}).requirements(backend)["it"]


def requirements(plugin: Plugin) -> Iterator[Finding]:
    fine = "reported for each engine that it supports"
    yield from judged("requirements", _wrong(plugin), fine)


def _wrong(plugin: Plugin) -> Iterator[str]:
    names = backends(plugin)
    if not names:
        yield "it should support an engine that is installed, and its hooks are called by none"
    for backend in names:
        try:
            asked = of(plugin, backend)
        except Exception as error:  # a third party's own
            yield (
                f"problems should be reported in Requirements.problems, and for {backend!r} "
                f"ablate_requirements raised {said(error)}"
            )
            continue
        yield from _odd(asked, backend)


def _odd(asked: object, backend: str) -> Iterator[str]:
    if not isinstance(asked, Requirements):
        yield f"should be a Requirements for {backend!r}, and is a {type(asked).__name__}"
        return
    for name, given in (("needs", asked.needs), ("drops", asked.drops)):
        unknown = sorted(set(given) - CAPABILITIES)
        if unknown:
            yield f"{name} should be of {sorted(CAPABILITIES)}, and {unknown} are not"
    problems: object = asked.problems
    if not isinstance(problems, tuple) or not all(map(str.strip, map(str, problems))):
        yield f"problems should be a tuple of sentences, and for {backend!r} is {asked.problems!r}"
