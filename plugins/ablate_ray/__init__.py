"""Trials on the nodes of a Ray cluster."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec

from ablate.errors import AblateError
from ablate.planning import Plan, TrialPlan
from ablate.plugins import Registry, hookimpl
from ablate.running.executor import Executor, RunTrials

ADDRESS = re.compile(r"(\[[0-9a-fA-F:]+\]|[^:/\s\[\]]+):\d{1,5}")


@dataclass(frozen=True)
class RayExecutor(Executor):
    """Runs trials on a Ray cluster, as many at a time as there is room for.

    ``address``: ``auto``, or ``host:port`` of the head. ``cpus`` and ``gpus``: what a trial takes;
    None: as many GPUs as its engine is set to use, with their share of the node's CPUs, or without
    GPUs all CPUs of a node.
    """

    address: str = "auto"
    cpus: int | None = None
    gpus: int | None = None

    def __post_init__(self) -> None:
        if self.address != "auto" and not ADDRESS.fullmatch(self.address):
            raise ValueError(
                f"address: must be auto or host:port, got {self.address!r}; Ray Client (ray://) "
                "is not supported: run ablate on a node of the cluster"
            )
        if self.cpus is not None and self.cpus < 1:
            raise ValueError(f"cpus: must be at least 1, got {self.cpus}")
        if self.gpus is not None and self.gpus < 0:
            raise ValueError(f"gpus: must be at least 0, got {self.gpus}")

    @contextmanager
    def open(
        self, plan: Plan, todo: Sequence[TrialPlan], warn: Callable[[str], None]
    ) -> Iterator[RunTrials]:
        if find_spec("ray") is None:
            raise AblateError('executor: ray is not installed: pip install "ablate-inference[ray]"')
        _check_amdsmi()
        from ablate_ray.cluster import connected
        from ablate_ray.driver import Driver

        with connected(self.address) as cluster:
            driver = Driver(cluster, plan, todo)
            driver.prepare(self.cpus, self.gpus, warn)
            yield driver.run


def _check_amdsmi() -> None:
    """Ray's import fails where amdsmi is installed and its library is not: it expects ImportError.

    The extra ``energy`` brings amdsmi, by way of Zeus, which does without it.
    """
    try:
        import_module("amdsmi")
    except ImportError:
        return
    except Exception as error:
        raise AblateError(
            "executor: Ray cannot be imported beside the package amdsmi on a machine without AMD's "
            f"ROCm ({type(error).__name__}: {error}); pip uninstall amdsmi"
        ) from error


@hookimpl
def ablate_register(registry: Registry) -> None:
    registry.add("executor", "ray", RayExecutor)
