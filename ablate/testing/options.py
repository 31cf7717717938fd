"""Options of any component: they come back from YAML, and somebody says what they are."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict, fields, is_dataclass
from typing import Any

import yaml

from ablate.options import build
from ablate.testing.findings import Finding, judged


def examine(component: Any) -> Iterator[Finding]:
    """``component``: an instance of a plugin, domain, engine or arrival process."""
    yield from judged("options", _problems(component), _fine(component))


def _fine(component: Any) -> str:
    names = ", ".join(f.name for f in fields(component)) if is_dataclass(component) else ""
    return f"{names} come back from YAML and are documented" if names else "there are none"


def _problems(component: Any) -> Iterator[str]:
    cls = type(component)
    if not is_dataclass(component) or not cls.__dataclass_params__.frozen:
        yield f"{cls.__name__} should be a frozen dataclass: write @dataclass(frozen=True) above it"
        return
    asked = {f.name: _plain(getattr(component, f.name)) for f in fields(component) if f.init}
    try:
        written = yaml.safe_dump(asked)
    except yaml.YAMLError:
        yield f"options should be plain values, and cannot be written as YAML: {asked}"
        return
    again, problems = build(cls, yaml.safe_load(written), "options")
    yield from problems
    if again is not None and _plain(again) != _plain(component):
        yield f"options should come back from YAML as they were: {component} came back as {again}"
    yield from _undocumented(cls)


def _plain(value: Any) -> Any:
    """As YAML has it: mappings, lists and what they hold."""
    if is_dataclass(value) and not isinstance(value, type):
        return _plain(asdict(value))
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, (list, tuple)) else value


def _undocumented(cls: type) -> Iterator[str]:
    """Options that neither the class nor its module or bases say anything of."""
    texts = [inspect.getdoc(sys.modules.get(cls.__module__)) or ""]
    texts += [base.__doc__ or "" for base in cls.__mro__ if base is not object]
    words = set(re.findall(r"\w+", " ".join(texts)))
    silent = [f.name for f in fields(cls) if f.init and f.name not in words]
    if silent:
        yield f"{cls.__name__}'s docstring should say what these options do: {', '.join(silent)}"
