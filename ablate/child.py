"""A process of its own for work that must not touch the one that is measured."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

import psutil

from ablate import supervise
from ablate.errors import TrialError

LOG_LINES = 12
SUPERVISOR = Path(supervise.__file__)
GRACE = 10.0


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


class Service:
    """A process that serves until it is closed, in a group of its own, its output in ``log``.

    It and all that it starts end with this process, however this one ends. ``fds``: open
    descriptors that it inherits.
    """

    def __init__(
        self,
        command: Sequence[str],
        log: Path,
        env: Mapping[str, str],
        fds: Sequence[int] = (),
        grace: float = GRACE,
    ) -> None:
        self.log = log
        supervised = [sys.executable, "-I", str(SUPERVISOR), str(grace), *command]
        with log.open("ab") as output:
            self._process = subprocess.Popen(  # noqa: S603 - what the recipe asks for
                supervised,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **env},
                pass_fds=tuple(fds),
                start_new_session=True,
            )

    @property
    def ending(self) -> str | None:
        """How the process ended, in words; None while it runs."""
        code = self._process.poll()
        return None if code is None else _ending(128 - code if code > 128 else code)

    def wait(self, seconds: float) -> str | None:
        """``ending``, waited for at most ``seconds``."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        return self.ending

    @property
    def tree(self) -> list[psutil.Process]:
        """The process and all that it has started; not its supervisor."""
        try:
            return psutil.Process(self._process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []

    def last_lines(self) -> str:
        """The end of its output."""
        with self.log.open("rb") as log:
            return _tail(log)

    def close(self) -> None:
        """End it and all that it started: politely, then not."""
        if self._process.stdin:
            self._process.stdin.close()
        self._process.wait()


def cpu_seconds(processes: Iterable[psutil.Process]) -> float:
    """CPU time of processes and of their children that have ended."""
    total = 0.0
    for process in processes:
        with suppress(psutil.Error):
            times = process.cpu_times()
            ended = getattr(times, "children_user", 0.0) + getattr(times, "children_system", 0.0)
            total += times.user + times.system + ended
    return total


def peak_rss_bytes(processes: Iterable[psutil.Process]) -> int:
    """Sum of each process's largest resident memory so far; where that is not told, of today's."""
    total = 0
    for process in processes:
        with suppress(psutil.Error):
            total += _high_water(process.pid) or process.memory_info().rss
    return total


def _high_water(pid: int) -> int | None:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return None
    kib = next((line.split()[1] for line in lines if line.startswith("VmHWM:")), None)
    return int(kib) * 1024 if kib else None


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
