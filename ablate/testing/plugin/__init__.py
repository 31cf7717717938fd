"""Optimizations: they do what they say, and say what they do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ablate.compatibility import ENGINE_ARGS, example
from ablate.engines.local import LocalEngine
from ablate.errors import AblateError
from ablate.hookspecs import COMPONENT_HOOKS
from ablate.plugins import ArmPlugins, Plugin, hooks_of, supports
from ablate.testing import options
from ablate.testing.findings import Finding, bad, guarded, judged, said
from ablate.testing.plugin import arguments, asking, imports, in_process
from ablate.testing.serving import workplace

WORKING = (*COMPONENT_HOOKS, ENGINE_ARGS)


def examine(given: Plugin | type[Plugin], model: Path | None) -> list[Finding]:
    """What ``check_plugin`` looks at; later parts only where earlier ones let them run."""
    plugin, found = _made(given)
    if plugin is None:
        return found
    found += guarded("hooks", _hooks, plugin)
    if not all(f.ok for f in found):
        return found
    found += guarded("options", options.examine, plugin)
    found += guarded("imports", imports.examine, type(plugin))
    with workplace(model) as (folder, logs):
        found += guarded("requirements", asking.requirements, plugin)
        if ENGINE_ARGS in hooks_of(plugin):
            found += guarded("engine arguments", arguments.examine, plugin, folder)
        found += _in_process(plugin, folder, logs)
    return found


def _made(given: Plugin | type[Plugin]) -> tuple[Any, list[Finding]]:
    if not isinstance(given, type):
        return given, []
    try:
        return example(given), []
    except Exception as error:  # its own check of its options
        sentence = (
            f"no instance of {given.__name__} can be made with its default options: {said(error)}; "
            "say `example`, a mapping of options, or check an instance"
        )
        return None, [bad("options", sentence)]


def _hooks(plugin: Plugin) -> Iterator[Finding]:
    yield from judged("hooks", _unfit(plugin), ", ".join(_said(plugin)))


def _unfit(plugin: Plugin) -> Iterator[str]:
    if not isinstance(plugin, Plugin):
        yield f"{type(plugin).__name__} should derive from ablate.plugins.Plugin"
        return
    try:
        uses = hooks_of(type(plugin))
        ArmPlugins({"it": plugin})
    except AblateError as error:
        yield f"{error}; see docs/reference/hooks.md for the names"
        return
    except Exception as error:  # pluggy's own, of a wrong argument or an unknown hook
        yield f"{error}; see docs/reference/hooks.md for names and arguments"
        return
    if "ablate_evidence" not in uses:
        yield "there should be an ablate_evidence: without proof that it took effect an arm fails"
    if not any(hook in WORKING for hook in uses):
        yield f"there should be a hook that changes something: {', '.join(WORKING)}"


def _said(plugin: Plugin) -> list[str]:
    return [hook if use == "plain" else f"{hook} ({use})" for hook, use in hooks_of(plugin).items()]


def _in_process(plugin: Plugin, model: Path, logs: Path) -> list[Finding]:
    """On the in-process engine, if it supports that and can run here."""
    if not supports(type(plugin), LocalEngine.calls):
        return guarded("evidence", arguments.untouched, plugin)
    try:
        problems = asking.of(plugin, "local").problems
    except Exception:  # said already
        return []
    if problems:
        sentence = (
            "not looked at, because it cannot run here; check it with options, a model or a "
            f"machine with which it can: {'; '.join(problems)}"
        )
        return [bad("evidence", sentence)]
    return in_process.examine(plugin, model, logs)
