"""Gives LMDeploy an engine for CPUs, which it lacks: this folder goes on the server's PYTHONPATH.

All else is LMDeploy's own: its arguments, its OpenAI server, tokenizer, streams and metrics. A
torchvision that was built for another torch can be imported with it.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

TARGET = "lmdeploy.serve.core.async_engine"
REGISTERS = "torchvision._meta_registrations"  # operators of a library that cannot be loaded


class Finder(MetaPathFinder):
    """Finds one module as usual, and has its engine exchanged once it is loaded."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        found = PathFinder.find_spec(name, path) if name == TARGET else None
        if found is None or found.loader is None:
            return None
        load = found.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            load(module)
            module.AsyncEngine._build_pytorch = build

        found.loader.exec_module = exec_module  # type: ignore[method-assign]
        return found


def build(_: Any, model_path: str, backend_config: Any, **__: Any) -> Any:
    from lmdeploy_on_cpu import CpuEngine  # torch: in LMDeploy's process only

    return CpuEngine(model_path, backend_config)


sys.meta_path.insert(0, Finder())
sys.modules.setdefault(REGISTERS, ModuleType(REGISTERS))
