"""Stands in for SGLang's compiled kernels, of which there is no build for CPUs to be had.

On a CPU without AMX, SGLang 0.5.23 computes in torch: it imports names from here and calls none of
them as long as it does not draft tokens. This folder's parent goes on the server's ``PYTHONPATH``.
"""

from __future__ import annotations

from typing import Any, NoReturn


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)

    def missing(*_: Any, **__: Any) -> NoReturn:
        raise NotImplementedError(f"sgl_kernel.{name} has no stand-in")

    return missing
