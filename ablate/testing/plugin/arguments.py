"""What a plugin gives engines that own their loop, and says of one that it never touched."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ablate import plugins
from ablate.engines.base import Engine
from ablate.plugins import ArmPlugins, Plugin
from ablate.testing.findings import Finding, good, judged, said
from ablate.testing.plugin.evidence import negative
from ablate.testing.serving import spec_of
from ablate.types import EngineFacts, EvidenceState, ModelSpec

NOBODY = "an_engine_that_nobody_knows"


def back_ends() -> list[str]:
    """Every back end whose arguments an installed engine takes."""
    engines: Mapping[str, type[Engine]] = plugins.installed().registry.all("engine")
    return list(dict.fromkeys(b for engine in engines.values() for b in engine.backends))


def examine(plugin: Plugin, model: Path) -> Iterator[Finding]:
    spec, supported = spec_of(model), []
    for backend in back_ends():
        problems = list(_wrong(plugin, backend, spec))
        args = None if problems else of(plugin, backend, spec)
        supported += [backend] if args is not None else []
        yield from judged(
            f"engine arguments: {backend}",
            problems,
            "not supported" if args is None else _text(args),
        )
    problems = []
    if of(plugin, NOBODY, spec) is not None:
        problems.append(
            "a back end that the plugin does not know should get None, and gets arguments: ask "
            "for ``engine`` by name"
        )
    yield from judged("engine arguments: others", problems, "not supported")


def of(plugin: Plugin, backend: str, model: ModelSpec) -> Mapping[str, Any] | None:
    return ArmPlugins({"it": plugin}).engine_args(backend, model)["it"]


def _wrong(plugin: Plugin, backend: str, model: ModelSpec) -> Iterator[str]:
    try:
        given = [of(plugin, backend, model) for _ in range(2)]
    except Exception as error:  # a third party's own
        yield f"should be a mapping or None, and raised {said(error)}"
        return
    args = given[0]
    if args is None:
        return
    if not isinstance(args, Mapping):
        yield f"should be a mapping or None, and is a {type(args).__name__}"
        return
    yield from _odd(args)
    if _text(args) != _text(given[1] or {}):
        yield (
            "should be the same each time, as they are asked for when planning and when opening, "
            f"and are {_text(args)}, then {_text(given[1] or {})}"
        )


def _odd(args: Mapping[str, Any], where: str = "") -> Iterator[str]:
    for key, value in args.items():
        if not isinstance(key, str):
            yield f"names should be text, and {key!r} is not"
        elif isinstance(value, Mapping):
            yield from _odd(value, f"{where}{key}.")
        elif callable(value):
            yield from _uncallable(value, f"{where}{key}")
        else:
            try:
                json.dumps(value, allow_nan=False)
            except (TypeError, ValueError) as error:
                yield f"{where}{key} should be fit for JSON, and is {value!r} ({error})"


def _uncallable(value: Any, where: str) -> Iterator[str]:
    try:
        inspect.signature(value).bind()
    except TypeError as error:
        yield f"{where} is a function that makes a value, and should take no arguments: {error}"


def _text(args: Mapping[str, Any]) -> str:
    """The arguments with what is made later left out."""
    return json.dumps(_plain(args), sort_keys=True, default=repr)


def _plain(args: Mapping[str, Any]) -> dict[str, Any]:
    return {
        str(k): _plain(v)
        if isinstance(v, Mapping)
        else "(made when it opens)"
        if callable(v)
        else v
        for k, v in args.items()
    }


def untouched(plugin: Plugin) -> Iterator[Finding]:
    """Evidence about an engine that says nothing of its settings must not be good."""
    found = [b for b in back_ends() if of(plugin, b, ModelSpec("some/model", "some/model"))]
    for backend in found:
        state = EvidenceState(backend, "measured", {"facts": EngineFacts()}, {})
        yield from negative(plugin, state, f"an untouched {backend}")
    if not found:
        yield good("evidence", "not looked at: no engine that is installed takes its arguments")
