"""A process of its own for work that must not touch the one that is measured."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from ablate.errors import TrialError

LOG_LINES = 12


def run_module(module: str, argument: str, what: str, env: Mapping[str, str]) -> None:
    """Run ``python -m module argument`` to its end, with ``env`` added to the environment.

    Raises TrialError with the end of its output.
    """
    path = os.pathsep.join(str(Path(p).absolute()) for p in sys.path)
    _run([sys.executable, "-u", "-m", module, argument], what, {"PYTHONPATH": path, **env})


def run_script(python: str, script: Path, argument: str, what: str, env: Mapping[str, str]) -> None:
    """Run a file under another interpreter, which has its own packages and none of this one's.

    The script may import the standard library and that environment's packages alone. Raises
    TrialError with the end of its output.
    """
    _run([python, "-I", "-u", str(script), argument], what, env)


def _run(command: Sequence[str], what: str, env: Mapping[str, str]) -> None:
    """A process of its own keeps a quantizer's memory peak, threads and patches out of the one that
    is measured. Its standard input stays open as long as this process lives, so that it can end
    when this one is killed (``lifeline``). Unbuffered, so that its last words stand last.
    """
    # some quantizers write logs into the folder they are started in
    with tempfile.TemporaryFile() as log, tempfile.TemporaryDirectory() as scratch:
        process = subprocess.Popen(  # noqa: S603 - our own interpreter and a module we name
            command,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, **env},
            cwd=scratch,
        )
        with process:
            try:
                code = process.wait()
            except BaseException:
                process.kill()
                raise
        if code:
            raise TrialError(f"{what} failed ({_ending(code)}):\n{_tail(log)}")


def _ending(code: int) -> str:
    if code > 0:
        return f"exit code {code}"
    return f"killed by signal {-code}{', perhaps for lack of memory' if code == -9 else ''}"


def _tail(log: IO[bytes]) -> str:
    log.seek(0, os.SEEK_END)
    log.seek(max(0, log.tell() - 20_000))
    text = log.read().decode(errors="replace").replace("\r", "\n")
    return "\n".join([line for line in text.splitlines() if line.strip()][-LOG_LINES:])
