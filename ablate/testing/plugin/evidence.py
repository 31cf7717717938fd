"""Whether evidence is good where the plugin took effect, and is not where it did not."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from ablate import plugins
from ablate.plugins import Plugin
from ablate.testing.findings import Finding, judged, said
from ablate.types import Evidence, EvidenceState


def of(plugin: Any, state: EvidenceState) -> Any:
    return plugin.ablate_evidence(state)


def positive(plugin: Plugin, state: EvidenceState) -> Iterator[Finding]:
    """Of an engine with the plugin."""
    evidence = of(plugin, state)
    check = f"evidence ({state.stage})"
    fine = getattr(evidence, "detail", "")
    yield from judged(check, _lacking(plugin, evidence, state), fine)


def _lacking(plugin: Plugin, evidence: Any, state: EvidenceState) -> Iterator[str]:
    if not isinstance(evidence, Evidence):
        yield (
            f"ablate_evidence should return an Evidence, and returned a {type(evidence).__name__}; "
            "is a `return` forgotten?"
        )
        return
    if evidence.applied is False or (evidence.applied is None and state.stage == "measured"):
        said_so = f"{evidence.applied}: {evidence.detail}"
        yield f"should say that the plugin took effect, and says {said_so}"
    names = [n for n, cls in plugins.installed().optimizations.items() if cls is type(plugin)]
    if names and evidence.plugin not in names:
        yield f"plugin should be its name {names[0]!r}, and is {evidence.plugin!r}"
    if not evidence.detail.strip():
        yield "detail should say in words what was seen, and is empty"
    if state.stage == "measured":
        yield from _numbers(evidence.numbers)


def _numbers(numbers: Mapping[str, Any]) -> Iterator[str]:
    if not numbers:
        yield "should have numbers that show the effect once it is measured, and has none"
    for name, value in numbers.items():
        if not isinstance(value, (int, float)) or not math.isfinite(value):
            yield f"numbers should be finite, and {name} is {value!r}"


def negative(plugin: Plugin, state: EvidenceState, where: str) -> Iterator[Finding]:
    """Of an engine that the plugin never touched."""
    fine = f"none of {where}, after {state.stage}"
    yield from judged("evidence without it", _lies(plugin, state, where), fine)


def _lies(plugin: Plugin, state: EvidenceState, where: str) -> Iterator[str]:
    advice = "look at what the engine holds, not at options or at what a hook remembers"
    try:
        evidence = of(plugin, state)
    except Exception as error:  # a third party's own
        yield (
            f"asked about {where}, it should say applied=False, and raised {said(error)}; an arm "
            "that it did not touch would fail without its reason"
        )
        return
    if not isinstance(evidence, Evidence):
        yield f"should return an Evidence about {where}, and returned a {type(evidence).__name__}"
    elif evidence.applied is True or (evidence.applied is None and state.stage == "measured"):
        yield (
            f"asked about {where}, after {state.stage}, it should say applied=False, and says "
            f"{evidence.applied}: {evidence.detail}; {advice}"
        )
