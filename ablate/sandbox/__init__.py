"""Runs programs that a model wrote, and tells how they ended.

In a bubblewrap sandbox (``jail``), with limits (``Limits``), and, where tests decide, with a proof
that they ended (``inside.proof``). ``docs/explanation/sandbox.md`` says what it defends against and
what it does not. In short, whoever shares an interpreter with the tests can still hand them objects
that are equal to everything, read the tests, or break the interpreter's memory (crafted bytecode);
and bubblewrap is as good as the kernel. ``run_inputs`` and ``run_calls`` leave it to the caller to
compare, so that nothing that is right lies in the sandbox.
"""

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
