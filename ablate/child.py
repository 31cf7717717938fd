"""A process of its own for work that must not touch the one that is measured."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from ablate.errors import TrialError

LOG_LINES = 12


def run_module(module: str, argument: str, what: str, env: Mapping[str, str]) -> None:
    """Run ``python -m module argument`` to its end, with ``env`` added to the environment.

    A process of its own keeps a quantizer's memory peak, threads and patches out of the one that is
    measured. Its standard input stays open as long as this process lives, so that it can end when
    this one is killed (see ``exit_with_parent``). Raises TrialError with the end of its output.
    """
    # unbuffered, so that what it said last stands last in its log
    command = [sys.executable, "-u", "-m", module, argument]
    path = os.pathsep.join(str(Path(p).absolute()) for p in sys.path)
    # some quantizers write logs into the folder they are started in
    with tempfile.TemporaryFile() as log, tempfile.TemporaryDirectory() as scratch:
        process = subprocess.Popen(  # noqa: S603 - our own interpreter and a module we name
            command,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONPATH": path, **env},
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


def exit_with_parent() -> None:
    """End this process when the one that started it with ``run_module`` is gone.

    Otherwise the quantizer of a killed trial would go on beside the next trial's measurement.
    """
    import threading

    def watch() -> None:
        while os.read(0, 1):  # unbuffered: a lock on sys.stdin would abort a regular exit
            pass
        os._exit(1)

    threading.Thread(target=watch, name="exit-with-parent", daemon=True).start()
