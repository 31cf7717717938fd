"""Runs programs that a model wrote, and tells how they ended."""

from __future__ import annotations

from ablate.sandbox.limits import Limits, Ran, SandboxError
from ablate.sandbox.runner import run_calls, run_inputs, run_tests
from ablate.sandbox.starting import ALLOW, no_sandbox_wanted, unavailable

__all__ = [
    "ALLOW",
    "Limits",
    "Ran",
    "SandboxError",
    "no_sandbox_wanted",
    "run_calls",
    "run_inputs",
    "run_tests",
    "unavailable",
]
