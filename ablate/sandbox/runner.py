"""Starts programs in the sandbox, ends them in time, and reads how they ended."""

from __future__ import annotations

import functools
import json
import marshal
import os
import platform
import secrets
import select
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from ablate.sandbox import inside, jail, seccomp
from ablate.sandbox.limits import Limits, Ran, SandboxError

ALLOW = "ABLATE_ALLOW_UNSANDBOXED_CODE"
INSTEAD = "or pass --allow-unsandboxed-code to run it unprotected"
MOST_REPORTED = 256 << 20  # bytes that are read back of one run
GRACE = 30  # s after the wall limit, when a process that nobody ends ends itself

OUT_OF_CPU = {128 + signal.SIGXCPU, -signal.SIGXCPU}


def unavailable() -> str | None:
    """Why code that a model wrote cannot be run here, and what to do; None if it can."""
    return None if os.environ.get(ALLOW) == "1" else _no_sandbox()


def run_tests(program: str, tests: str, limits: Limits) -> Ran:
    """Run a program and then its tests, which must end: passed only with a proof of that."""
    key = secrets.token_bytes(32)
    asked = {"mode": "tests", "key": key, "program": program, "tests": tests}
    ended = _run(asked, limits)
    if ended.report == key and ended.code == 0:
        return Ran("passed")
    words = "".join(c if c.isprintable() else " " for c in ended.report[:2000].decode(errors="replace"))
    if ended.code != inside.RAISED or not words:
        words = f"ended before the tests did ({_exit(ended.code)})"
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
            found.append(Ran(status, str(detail), str(output)))
    if len(found) < wanted and all(one.passed for one in found):
        words = f"ended before its last input ({_exit(ended.code)})"
        found.append(_stopped(ended) or Ran("failed", words))
    return found


@dataclass(frozen=True)
class _Ended:
    code: int
    report: bytes
    in_time: bool


def _stopped(ended: _Ended) -> Ran | None:
    if not ended.in_time:
        return Ran("out_of_wall_time", "out of wall time")
    return Ran("out_of_cpu_time", "out of CPU time") if ended.code in OUT_OF_CPU else None


def _exit(code: int) -> str:
    number = -code if code < 0 else code - 128
    with suppress(ValueError):
        return f"killed by {signal.Signals(number).name}"
    return f"exit code {code}"


def _run(asked: Mapping[str, Any], limits: Limits) -> _Ended:
    why = unavailable()
    if why:
        raise SandboxError(why)
    return _start(asked, limits, protected=_no_sandbox() is None)


def _start(asked: Mapping[str, Any], limits: Limits, *, protected: bool) -> _Ended:
    request = {**vars(limits), **asked}
    request |= {"alarm": int(limits.wall) + GRACE, "total": MOST_REPORTED // 2}
    with (
        tempfile.TemporaryFile() as given,
        tempfile.TemporaryFile() as report,
        tempfile.TemporaryFile() as words,
    ):
        given.write(marshal.dumps(request))
        given.seek(0)
        with _command(limits, protected) as command:
            process = subprocess.Popen(  # noqa: S603 - the sandbox
                [*command.arguments, "-c", _code()],
                stdin=given,
                stdout=report,
                stderr=words,
                env=command.environment,
                cwd=command.folder,
                pass_fds=command.descriptors,
                start_new_session=True,
            )
        code = _wait(process, limits.wall)
        said = _read(report, MOST_REPORTED)
        if not said.startswith(b"+") and code is not None:
            raise SandboxError(f"the sandbox did not start: {_last_line(words)}")
    return _Ended(-signal.SIGKILL if code is None else code, said[1:], code is not None)


def _wait(process: subprocess.Popen[bytes], wall: float) -> int | None:
    """The exit code; None if time ran out. Nothing that it started is left."""
    try:
        watched = [os.pidfd_open(process.pid)] if hasattr(os, "pidfd_open") else []
        if watched:  # at once, where wait() would look again every 50 ms
            select.select(watched, [], [], wall)
            os.close(watched[0])
        return process.wait(0 if watched else wall)
    except subprocess.TimeoutExpired:
        return None
    finally:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@dataclass(frozen=True)
class _Command:
    arguments: Sequence[str]
    environment: Mapping[str, str]
    folder: str
    descriptors: tuple[int, ...] = ()


@contextmanager
def _command(limits: Limits, protected: bool) -> Iterator[_Command]:
    if protected:
        with tempfile.TemporaryFile() as file:
            rules = seccomp.program(platform.machine())
            file.write(rules or b"")
            file.seek(0)
            shared = (file.fileno(),) if rules else ()
            bwrap = shutil.which("bwrap") or "bwrap"
            arguments = jail.command(bwrap, limits.disk, file.fileno() if rules else None)
            yield _Command(arguments, {"PATH": os.defpath}, "/", shared)
    else:
        with tempfile.TemporaryDirectory() as folder:
            arguments = [str(jail.interpreter()), *jail.INTERPRETER_FLAGS]
            inside_it = {"HOME": folder, "TMPDIR": folder}
            yield _Command(arguments, {**jail.ENVIRONMENT, **inside_it}, folder)


@functools.cache
def _no_sandbox() -> str | None:
    if sys.platform != "linux":
        return f"code is run in a sandbox that needs Linux: use a Linux container, {INSTEAD}"
    if shutil.which("bwrap") is None:
        return f"code is run in a sandbox: apt-get install bubblewrap (0.8 or newer), {INSTEAD}"
    try:
        ended = _start({"mode": "tests", "key": b"?", "program": "", "tests": ""}, Limits(), protected=True)
    except (SandboxError, OSError) as error:
        words = str(error)
    else:
        words = "" if ended.report == b"?" else f"it ended with {_exit(ended.code)}"
    if not words:
        return None
    return (
        f"code is run in a sandbox, and bubblewrap cannot make one here ({words}): use version 0.8 "
        f"or newer, allow unprivileged user namespaces (Ubuntu: "
        f"sysctl kernel.apparmor_restrict_unprivileged_userns=0), {INSTEAD}"
    )


@functools.cache
def _code() -> str:
    return Path(inside.__file__).read_text(encoding="utf-8")


def _read(file: IO[bytes], most: int) -> bytes:
    file.seek(0)
    return file.read(most)


def _last_line(words: IO[bytes]) -> str:
    lines = _read(words, 1 << 16).decode(errors="replace").strip().splitlines()
    return lines[-1][:300] if lines else "it said nothing"
