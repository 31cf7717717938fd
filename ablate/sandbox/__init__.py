"""Runs programs that a model wrote, and tells how they ended."""

from __future__ import annotations

from ablate.sandbox.limits import Limits, Ran, SandboxError
from ablate.sandbox.runner import run_calls, run_inputs, run_tests
from ablate.sandbox.starting import ALLOW, unavailable, unprotected

__all__ = [
    "ALLOW",
    "Limits",
    "Ran",
    "SandboxError",
    "run_calls",
    "run_inputs",
    "run_tests",
    "unavailable",
    "unprotected",
]
