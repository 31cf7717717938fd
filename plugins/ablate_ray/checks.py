"""What the nodes say of themselves before the first trial: what forbids a run, what is doubtful."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ablate_ray.placing import Demand, Node

# Where nodes differ in these, arms that ran on different nodes differ in more than their factors.
COMPARED = ("cpu", "cores", "torch", "transformers", "vllm")


@dataclass(frozen=True)
class Probe:
    """A node's answer. ``distributions``: those that provide plugins, with their versions.

    ``problems``: what planning the recipe there found. ``error``: why there is no answer.
    """

    environment: Mapping[str, Any] = field(default_factory=dict)
    distributions: Mapping[str, str] = field(default_factory=dict)
    problems: Sequence[str] = ()
    error: str | None = None


def complaints(
    probes: Mapping[Node, Probe], distributions: Mapping[str, str], python: str
) -> list[str]:
    """Sentences for each node that trials cannot run on; the arguments are this machine's."""
    return [
        f"node {node}: {sentence}"
        for node, probe in probes.items()
        for sentence in _complaints(probe, distributions, python)
    ]


def _complaints(probe: Probe, distributions: Mapping[str, str], python: str) -> Iterator[str]:
    if probe.error:
        yield probe.error
        return
    theirs = str(probe.environment.get("python", ""))
    if theirs.split(".")[:2] != python.split(".")[:2]:
        yield f"has Python {theirs}, and ablate runs on {python} here"
    for name, version in distributions.items():
        other = probe.distributions.get(name)
        if other is None:
            yield f"lacks {name} {version}, which is installed here"
        elif other != version:
            yield f"has {name} {other}, and {version} is installed here"
    yield from probe.problems


def doubts(
    nodes: Sequence[Node], probes: Mapping[Node, Probe], demands: Sequence[Demand]
) -> list[str]:
    """Sentences on nodes that are left idle and on nodes that are not alike."""
    sentences = [
        f"node {n} gets no trials: it has {n.size}, and they take {demands[0]}"
        for n in nodes
        if n.cpus and not any(d.fits(n) for d in demands)
    ]
    kinds = {
        node: (node.size, *(str(probe.environment.get(key, "-")) for key in COMPARED))
        for node, probe in probes.items()
    }
    if len(set(kinds.values())) > 1:
        listed = "; ".join(f"{node}: {', '.join(kind)}" for node, kind in kinds.items())
        sentences.append(
            "the nodes are not alike, so arms that run on different ones differ in more than "
            f"their factors, and speed cannot be compared: {listed}"
        )
    return [f"warning: {sentence}" for sentence in sentences]
