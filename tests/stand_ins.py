"""Small components of every kind, and an ``Installed`` that has them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from ablate import arrivals
from ablate.domains.base import Domain
from ablate.engines.base import Engine, EngineContext, Session
from ablate.hookspecs import COMPONENT_HOOKS
from ablate.plugins import Found, Installed, Plugin, Registry, hookimpl
from ablate.running.local import LocalExecutor
from ablate.types import ModelSpec, Problem, Requirements


@dataclass(frozen=True)
class InProcess(Engine):
    """Calls every component hook."""

    device: str = "cpu"

    calls: ClassVar[frozenset[str]] = frozenset(COMPONENT_HOOKS)
    capabilities: ClassVar[frozenset[str]] = frozenset({"rollback", "batching"})

    def open(self, context: EngineContext) -> Session:
        raise NotImplementedError


@dataclass(frozen=True)
class Server(Engine):
    """Owns its loop."""

    calls: ClassVar[frozenset[str]] = frozenset({"ablate_engine_args"})
    backends: ClassVar[tuple[str, ...]] = ("server",)

    def open(self, context: EngineContext) -> Session:
        raise NotImplementedError


@dataclass(frozen=True)
class Count(Domain):
    """Problems 0, 1, 2 …"""

    limit: int | None = 3
    words: int = 2

    def problems(self) -> Sequence[Problem]:
        n = self.limit if self.limit is not None else 10
        return [
            Problem(str(i), "count", f"{i}?", str(i), solution="a " * self.words) for i in range(n)
        ]

    def extract(self, visible: str) -> str | None:
        return visible or None


@dataclass(frozen=True)
class Spell(Count):
    """A second domain."""

    def problems(self) -> Sequence[Problem]:
        return [replace(problem, domain="spell") for problem in super().problems()]


@dataclass(frozen=True)
class Stray(Count):
    """Its problems carry another domain's name."""


@dataclass(frozen=True)
class Loader(Plugin):
    """Supplies the model."""

    bits: int = 4
    name: str = "x"

    def __post_init__(self) -> None:
        if self.bits < 2:
            raise ValueError("bits must be at least 2")

    @hookimpl
    def ablate_load_model(self, model: Any, device: str) -> Any:
        return object()

    @hookimpl
    def ablate_engine_args(self, engine: str, model: ModelSpec) -> Mapping[str, Any]:
        return {"quantization": {"method": "loader"}}


@dataclass(frozen=True)
class OtherLoader(Plugin):
    """Supplies the model, too."""

    @hookimpl
    def ablate_load_model(self, model: Any, device: str) -> Any:
        return object()

    @hookimpl
    def ablate_engine_args(self, engine: str, model: ModelSpec) -> Mapping[str, Any]:
        return {"quantization": {"method": "other"}}


@dataclass(frozen=True)
class Speculator(Plugin):
    """Needs to roll back; its options cannot be hashed."""

    model: str = "m"
    sizes: list[int] | None = None

    @hookimpl
    def ablate_decode_step(self, model: Any, cache: Any, sampler: Any) -> Any:
        return object()

    @hookimpl
    def ablate_requirements(self, engine: str) -> Requirements:
        return Requirements(needs=frozenset({"rollback"}))


@dataclass(frozen=True)
class OneWay(Plugin):
    """A cache that cannot roll back."""

    @hookimpl
    def ablate_setup_cache(self, model: Any, limits: Any) -> Any:
        return object()

    @hookimpl
    def ablate_requirements(self, engine: str) -> Requirements:
        return Requirements(drops=frozenset({"rollback"}))


@dataclass(frozen=True)
class Unfit(Plugin):
    """Lacks something on this machine."""

    @hookimpl
    def ablate_schedule(self, cache: Any, limits: Any) -> Any:
        return object()

    @hookimpl
    def ablate_requirements(self, engine: str) -> Requirements:
        return Requirements(needs=frozenset({"logits"}), problems=("needs a flux capacitor",))


OPTIMIZATIONS: Mapping[str, type[Plugin]] = {
    "loader": Loader,
    "other": OtherLoader,
    "speculator": Speculator,
    "one_way": OneWay,
    "unfit": Unfit,
}


def available() -> Installed:
    """The stand-ins, the built-in arrival processes, and a plugin that fails to load."""
    registry = Registry()
    arrivals.ablate_register(registry)
    registry.add("executor", "local", LocalExecutor)
    for name, engine in {"local": InProcess, "server": Server}.items():
        registry.add("engine", name, engine)
    for name, domain in {"count": Count, "spell": Spell, "stray": Stray}.items():
        registry.add("domain", name, domain)
    found = [Found(n, cls, "stand-ins", "1") for n, cls in OPTIMIZATIONS.items()]
    broken = Found("broken", None, "shaky", "0.3", "ImportError: no luck")
    return Installed(OPTIMIZATIONS, registry, (*found, broken), {"broken": "ImportError: no luck"})


def interpreter_with(folder: Path, *has: str) -> str:
    """An interpreter whose environment says that it ``has`` these distributions."""
    path = folder / "python"
    path.write_text(f"#!/bin/sh\necho '{json.dumps(dict.fromkeys(has, '1.0'))}'\n")
    path.chmod(0o755)
    return str(path)
