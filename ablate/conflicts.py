"""What keeps plugins of one arm apart: components that two claim, capabilities that one takes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ablate.hookspecs import COMPONENT_HOOKS
from ablate.implementations import hooks_of
from ablate.plugins import Plugin
from ablate.types import Requirements


def claim_conflicts(
    plugins: Mapping[str, Plugin], engine_calls: Iterable[str] = COMPONENT_HOOKS
) -> list[str]:
    """Sentences for each component that two plugins of one arm both supply to the engine."""
    problems = []
    for hook in [h for h in COMPONENT_HOOKS if h in engine_calls]:
        claimants = [n for n, p in plugins.items() if hooks_of(p).get(hook) == "plain"]
        if len(claimants) > 1:
            names = " and ".join(repr(n) for n in claimants)
            problems.append(f"{names} both supply {hook}; an arm can have only one of them")
    return problems


def capability_conflicts(
    requirements: Mapping[str, Requirements], engine: str, offered: frozenset[str]
) -> list[str]:
    """Sentences for each capability that a plugin needs and the engine or another plugin denies."""
    problems = [f"{n}: {text}" for n, r in requirements.items() for text in r.problems]
    for name, wanted in requirements.items():
        problems += [
            f"{name!r} needs {need!r}, which engine {engine!r} does not offer"
            for need in sorted(wanted.needs - offered)
        ]
        for need in sorted(wanted.needs & offered):
            takers = [n for n, r in requirements.items() if need in r.drops and n != name]
            problems += [f"{name!r} needs {need!r}, which {t!r} takes away" for t in takers]
    return problems
