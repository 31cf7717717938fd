"""How many GPUs the engine of an arm is set to use."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from itertools import pairwise
from math import prod
from typing import Any

from ablate.models import resolve_model
from ablate.planning import Arm
from ablate.plugins import ArmPlugins

# What back ends call the numbers whose product is the number of GPUs, flags without their dashes.
PARALLEL: Mapping[str, str] = {
    **dict.fromkeys(("tensor_parallel_size", "tp_size", "tp"), "tensor"),
    **dict.fromkeys(("pipeline_parallel_size", "pp_size", "pp"), "pipeline"),
    **dict.fromkeys(("data_parallel_size", "dp_size", "dp"), "data"),
}


def gpus_wanted(arm: Arm) -> int | None:
    """GPUs that a trial takes; None: the arm does not say, so one where there is one."""
    device = str(getattr(arm.engine, "device", "auto"))
    if device.startswith("cpu"):
        return 0
    of_plugins = ArmPlugins(arm.plugins).engine_args(
        arm.engine.backend, resolve_model(arm.recipe.model, on_host=False)
    )
    sizes = dict(parallel_sizes(asdict(arm.engine)))
    for args in of_plugins.values():
        sizes.update(parallel_sizes(args or {}))
    gpus = prod(sizes.values())
    return gpus if gpus > 1 or device.startswith("cuda") else None


def parallel_sizes(options: Any) -> Iterator[tuple[str, int]]:
    """The sizes in an engine's options: mappings of arguments, or lists of flags, in any depth."""
    if isinstance(options, Mapping):
        pairs = list(options.items())
    elif isinstance(options, (list, tuple)):
        words = [w for item in options for w in str(item).split("=", 1)]
        pairs = list(pairwise(words))
    else:
        return
    for key, value in pairs:
        kind = PARALLEL.get(str(key).lstrip("-").replace("-", "_"))
        if kind and str(value).isdecimal():
            yield kind, int(value)
        elif isinstance(value, (Mapping, list, tuple)):
            yield from parallel_sizes(value)
