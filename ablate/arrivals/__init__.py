"""Arrival processes: when a trial's requests are sent."""

from __future__ import annotations

from ablate.arrivals.base import Arrival
from ablate.arrivals.closed import Batch, Closed
from ablate.arrivals.rates import Constant, Gamma, Poisson, Ramp
from ablate.arrivals.trace import Trace
from ablate.plugins import Registry, hookimpl

__all__ = ["Arrival", "Batch", "Closed", "Constant", "Gamma", "Poisson", "Ramp", "Trace"]

BUILT_IN: dict[str, type[Arrival]] = {
    "batch": Batch,
    "closed": Closed,
    "constant": Constant,
    "poisson": Poisson,
    "gamma": Gamma,
    "ramp": Ramp,
    "trace": Trace,
}


@hookimpl
def ablate_register(registry: Registry) -> None:
    for name, process in BUILT_IN.items():
        registry.add("arrival", name, process)
