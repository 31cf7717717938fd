"""Domains: sets of problems with a grader. The built-in ones need nothing but this package."""

from __future__ import annotations

from ablate.domains.algebra import Algebra
from ablate.domains.arithmetic import Arithmetic
from ablate.domains.code import Code
from ablate.domains.knowledge import Knowledge
from ablate.domains.logic import Logic
from ablate.domains.sorting import Sorting
from ablate.plugins import Registry, hookimpl

__all__ = ["Algebra", "Arithmetic", "Code", "Knowledge", "Logic", "Sorting", "BUILT_IN"]

BUILT_IN = (Arithmetic, Algebra, Logic, Code, Sorting, Knowledge)


@hookimpl
def ablate_register(registry: Registry) -> None:
    for domain in BUILT_IN:
        registry.add("domain", domain.name, domain)
