"""Runs a command in a process group of its own that ends when the starter does, however it ends.

    python -I supervise.py GRACE COMMAND …

The starter holds this process's standard input open. When it closes, because the starter closed it
or is gone (also by ``kill -9``), the command gets SIGTERM and, ``GRACE`` seconds later, its whole
group SIGKILL. When the command ends by itself, what it left behind in its group is killed and its
exit code is passed on. Standard library only: it is started by its path, with as little as can be.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import subprocess
import sys
import time
from contextlib import suppress

PR_SET_PDEATHSIG = 1
GONE = 5.0  # s for what was killed to be gone


def main(grace: float, command: list[str]) -> int:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # only the starter decides
    mine = os.getpid()
    try:
        # Inherits the descriptors that the starter passed on, such as a socket to talk over.
        child = subprocess.Popen(  # noqa: S603 - the starter's command
            command,
            stdin=subprocess.DEVNULL,
            close_fds=False,
            start_new_session=True,
            preexec_fn=lambda: _as_child(mine),
        )
    except OSError as error:
        print(f"cannot start {command[0]}: {error.strerror}", file=sys.stderr, flush=True)
        return 127
    code = _watch(child, grace)
    _kill_group(child.pid)  # its pid stays the group's as long as anyone is in it
    return code if code >= 0 else 128 - code


def _as_child(parent: int) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    if sys.platform == "linux":  # if even this process is killed
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)


def _watch(child: subprocess.Popen[bytes], grace: float) -> int:
    """Wait for whichever ends first, without waking up meanwhile: measurements run beside this."""
    ended = os.pidfd_open(child.pid) if hasattr(os, "pidfd_open") else None
    watched = [0] if ended is None else [0, ended]
    while child.poll() is None:
        readable, _, _ = select.select(watched, [], [], 0.2 if ended is None else None)
        if 0 in readable and not os.read(0, 4096):
            return _stop(child, grace)
    return int(child.returncode)


def _stop(child: subprocess.Popen[bytes], grace: float) -> int:
    child.terminate()
    deadline = time.monotonic() + grace
    while child.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    _kill_group(child.pid)
    return child.wait()


def _kill_group(leader: int) -> None:
    """Returns when all are gone: the next trial needs the memory and cores that they held."""
    deadline = time.monotonic() + GONE
    with suppress(ProcessLookupError, PermissionError):  # nobody left
        os.killpg(leader, signal.SIGKILL)
        while time.monotonic() < deadline:
            os.killpg(leader, 0)
            time.sleep(0.01)


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]), sys.argv[2:]))
