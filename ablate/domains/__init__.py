"""Domains: sets of problems with a grader. The built-in ones need nothing but this package."""

from __future__ import annotations

from ablate.domains.arithmetic import Arithmetic
from ablate.domains.logic import Logic
from ablate.plugins import Registry, hookimpl


@hookimpl
def ablate_register(registry: Registry) -> None:
    registry.add("domain", "arithmetic", Arithmetic)
    registry.add("domain", "logic", Logic)
