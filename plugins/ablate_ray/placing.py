"""What a trial takes of a node, and which nodes can hold it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ablate.errors import AblateError


@dataclass(frozen=True)
class Node:
    """A node of the cluster and all that it has, in use or not. ``accelerator``: "" if none."""

    id: str
    host: str
    cpus: float
    gpus: float = 0
    accelerator: str = ""

    def __str__(self) -> str:
        return f"{self.host} ({self.id[:8]})"

    @property
    def size(self) -> str:
        kind = f" of {self.accelerator}" if self.accelerator else ""
        gpus = f", {_count(self.gpus, 'GPU')}{kind}" if self.gpus else ""
        return f"{_count(self.cpus, 'CPU')}{gpus}"


@dataclass(frozen=True)
class Demand:
    """What a trial takes of one node."""

    cpus: int
    gpus: int

    def fits(self, node: Node) -> bool:
        return node.cpus >= self.cpus and node.gpus >= self.gpus

    def __str__(self) -> str:
        return f"{_count(self.cpus, 'CPU')} and {_count(self.gpus, 'GPU')}"


def demand(nodes: Sequence[Node], cpus: int | None, gpus: int | None) -> Demand:
    """What a trial takes. ``gpus`` None: one, if any node has one. ``cpus`` None: so many that two
    trials never share a node without sharing out its GPUs, too.

    Without GPUs that is the largest node's CPUs, and smaller nodes get no trials; with GPUs, the
    smallest share that so many GPUs have in a node's CPUs. Raises AblateError if no node can ever
    hold it.
    """
    if gpus is None:
        gpus = int(any(n.gpus >= 1 for n in nodes))
    if cpus is None:
        shares = [int(n.cpus * gpus / n.gpus) for n in nodes if gpus and n.gpus >= gpus]
        cpus = min(shares, default=max([1, *(int(n.cpus) for n in nodes)]))
    wanted = Demand(cpus, gpus)
    if not any(wanted.fits(n) for n in nodes):
        has = "; ".join(f"{n}: {n.size}" for n in nodes) or "no nodes"
        raise AblateError(
            f"executor: no node of the Ray cluster can hold a trial, which takes {wanted}. "
            f"The cluster has {has}. Set executor.ray.cpus or executor.ray.gpus, or add a node"
        )
    return wanted


def _count(number: float, what: str) -> str:
    return f"{number:g} {what}{'' if number == 1 else 's'}"
