"""Runs programs in the sandbox and reads how they ended."""

from __future__ import annotations

import json
import secrets
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from ablate.sandbox.inside.common import RAISED
from ablate.sandbox.limits import Limits, Ran, SandboxError
from ablate.sandbox.starting import Ended, shown, start, unavailable

OUT_OF_CPU = {128 + signal.SIGXCPU, -signal.SIGXCPU}


def run_tests(program: str, tests: str, limits: Limits) -> Ran:
    """Run a program and then its tests, which must end: passed only with a proof of that."""
    key = secrets.token_bytes(32)
    asked = {"mode": "tests", "key": key, "program": program, "tests": tests}
    ended = _run(asked, limits)
    if ended.report == key and ended.code == 0:
        return Ran("passed")
    words = _printable(ended.report[:2000].decode(errors="replace"))
    if ended.code != RAISED or not words:
        words = f"ended before the tests did ({shown(ended.code)})"
    return _stopped(ended) or Ran("failed", words)


def run_inputs(program: str, inputs: Sequence[str], limits: Limits, prelude: str = "") -> list[Ran]:
    """Run a program once for each standard input, up to the first for which it fails.

    ``prelude``: code whose names the program finds. ``passed`` means that it ended without an
    exception; whether what it printed is right is for the caller to say, who alone knows.
    """
    asked = {"mode": "inputs", "program": program, "inputs": list(inputs), "prelude": prelude}
    return _several(asked, len(inputs), limits)


def run_calls(
    program: str, function: str, calls: Sequence[str], limits: Limits, prelude: str = ""
) -> list[Ran]:
    """Call one function of a program, up to the first call that fails; results are JSON.

    Each of ``calls`` holds the arguments as JSON, one a line. The function is a method of one
    ``Solution()`` if the program has such a class.
    """
    asked = {"mode": "calls", "program": program, "inputs": list(calls), "prelude": prelude}
    return _several({**asked, "function": function}, len(calls), limits)


def _several(asked: Mapping[str, Any], wanted: int, limits: Limits) -> list[Ran]:
    ended = _run(asked, limits)
    found: list[Ran] = []
    with suppress(ValueError, TypeError):  # a line that was cut off, or that a program forged
        for line in ended.report.splitlines()[:wanted]:
            status, detail, output = json.loads(line)
            found.append(Ran(status, _printable(str(detail)), str(output)))
    if len(found) < wanted and all(one.passed for one in found):
        words = f"ended before its last input ({shown(ended.code)})"
        found.append(_stopped(ended) or Ran("failed", words))
    return found


def _stopped(ended: Ended) -> Ran | None:
    if not ended.in_time:
        return Ran("out_of_wall_time", "out of wall time")
    return Ran("out_of_cpu_time", "out of CPU time") if ended.code in OUT_OF_CPU else None


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)


def _run(asked: Mapping[str, Any], limits: Limits) -> Ended:
    why = unavailable()
    if why:
        raise SandboxError(why)
    return start(asked, limits)
