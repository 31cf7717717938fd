"""Starts an interpreter in the sandbox and ends it in time."""

from __future__ import annotations

import functools
import marshal
import os
import platform
import select
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import IO, Any

from ablate.sandbox import jail, seccomp
from ablate.sandbox.inside import code
from ablate.sandbox.limits import Limits, SandboxError

ALLOW = "ABLATE_ALLOW_UNSANDBOXED_CODE"
INSTEAD = "or pass --allow-unsandboxed-code to run it unprotected"
MOST_REPORTED = 256 << 20  # bytes that are read back of one run
GRACE = 30  # s after the wall limit, when a process that nobody ends ends itself


def unavailable() -> str | None:
    """Why code that a model wrote cannot be run here, and what to do; None if it can."""
    return None if _allowed() else no_sandbox()


def unprotected() -> bool:
    """Whether code is run without a sandbox: the user allows it, and none can be had."""
    return _allowed() and no_sandbox() is not None


def _allowed() -> bool:
    return os.environ.get(ALLOW) == "1"


@dataclass(frozen=True)
class Ended:
    """``in_time``: nobody had to end it. ``report``: what it told, once it had started."""

    code: int
    report: bytes
    in_time: bool


def start(asked: Mapping[str, Any], limits: Limits) -> Ended:
    """Run a request to its end. Raises SandboxError if the sandbox did not start."""
    return _start(asked, limits, protected=no_sandbox() is None)


def _start(asked: Mapping[str, Any], limits: Limits, *, protected: bool) -> Ended:
    request = {**vars(limits), **asked}
    request |= {"alarm": int(limits.wall) + GRACE, "total": MOST_REPORTED // 2}
    text = code("proof" if asked["mode"] == "tests" else "several")
    with (
        tempfile.TemporaryFile() as given,
        tempfile.TemporaryFile() as report,
        tempfile.TemporaryFile() as words,
    ):
        given.write(marshal.dumps(request))
        given.seek(0)
        with _command(limits, protected) as command:
            process = subprocess.Popen(  # noqa: S603 - the sandbox
                [*command.arguments, "-c", text],
                stdin=given,
                stdout=report,
                stderr=words,
                env=command.environment,
                cwd=command.folder,
                pass_fds=command.descriptors,
                start_new_session=True,
            )
        ending = _wait(process, limits.wall)
        said = _read(report, MOST_REPORTED)
        if not said.startswith(b"+") and ending is not None:
            raise SandboxError(f"the sandbox did not start: {_last_line(words)}")
    return Ended(-signal.SIGKILL if ending is None else ending, said[1:], ending is not None)


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
def no_sandbox() -> str | None:
    if sys.platform != "linux":
        return f"code is run in a sandbox that needs Linux: use a Linux container, {INSTEAD}"
    if shutil.which("bwrap") is None:
        return f"code is run in a sandbox: apt-get install bubblewrap (0.8 or newer), {INSTEAD}"
    try:
        ended = _start(
            {"mode": "tests", "key": b"?", "program": "", "tests": ""}, Limits(), protected=True
        )
    except (SandboxError, OSError) as error:
        words = str(error)
    else:
        words = "" if ended.report == b"?" else f"it ended with {shown(ended.code)}"
    if not words:
        return None
    return (
        f"code is run in a sandbox, and bubblewrap cannot make one here ({words}): use version 0.8 "
        f"or newer, allow unprivileged user namespaces (Ubuntu: "
        f"sysctl kernel.apparmor_restrict_unprivileged_userns=0), {INSTEAD}"
    )


def _read(file: IO[bytes], most: int) -> bytes:
    file.seek(0)
    return file.read(most)


def _last_line(words: IO[bytes]) -> str:
    lines = _read(words, 1 << 16).decode(errors="replace").strip().splitlines()
    return lines[-1][:300] if lines else "it said nothing"


def shown(code: int) -> str:
    """An exit code in words."""
    number = -code if code < 0 else code - 128
    with suppress(ValueError):
        return f"killed by {signal.Signals(number).name}"
    return f"exit code {code}"
