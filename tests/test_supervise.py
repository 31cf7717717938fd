"""A served process and its descendants end with whoever started them, however that one ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from ablate.child import Service, cpu_seconds, peak_rss_bytes

# works for some ticks, starts a grandchild that ignores SIGTERM, writes both pids, and waits
FAMILY = """
import os, signal, subprocess, sys, time
sum(range(3_000_000))
deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
child = subprocess.Popen([sys.executable, "-c", deaf])
print(os.getpid(), child.pid, flush=True)
time.sleep(600)
"""
STARTER = f"""
import sys, time
from pathlib import Path
from ablate.child import Service
service = Service([sys.executable, "-c", {FAMILY!r}], Path(sys.argv[1]), {{}}, grace=0.5)
time.sleep(600)
"""


def until(true: Callable[[], bool], seconds: float = 20.0) -> bool:
    deadline = time.monotonic() + seconds
    while not true() and time.monotonic() < deadline:
        time.sleep(0.05)
    return true()


def family(log: Path) -> list[int]:
    assert until(lambda: log.exists() and len(log.read_text().split()) == 2)
    return [int(pid) for pid in log.read_text().split()]


def gone(pids: list[int]) -> bool:
    return not any(
        psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
        for pid in pids
    )


def test_closing_ends_the_whole_family(tmp_path: Path) -> None:
    log = tmp_path / "log"
    service = Service([sys.executable, "-c", FAMILY], log, {}, grace=0.5)
    pids = family(log)
    assert service.ending is None
    assert set(pids) <= {process.pid for process in service.tree}
    assert cpu_seconds(service.tree) > 0
    assert peak_rss_bytes(service.tree) > 1_000_000
    service.close()
    assert gone(pids)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_orphans_when_the_starter_is_killed(tmp_path: Path, number: signal.Signals) -> None:
    log = tmp_path / "log"
    # a background job of a shell ignores SIGINT, and so would its children
    command = [sys.executable, "-c", f"import signal; signal.signal(2, signal.SIG_DFL)\n{STARTER}"]
    starter = subprocess.Popen([*command, str(log)], start_new_session=True)
    pids = family(log)
    os.killpg(starter.pid, number)
    starter.wait()
    assert until(lambda: gone(pids))


def test_a_supervisor_that_is_killed_takes_the_command_along(tmp_path: Path) -> None:
    log = tmp_path / "log"
    service = Service([sys.executable, "-c", FAMILY], log, {}, grace=0.5)
    leader = family(log)[0]
    psutil.Process(leader).parent().kill()  # type: ignore[union-attr]
    assert until(lambda: gone([leader]))
    os.kill(family(log)[1], signal.SIGKILL)
    service.close()


def test_how_it_ended_and_its_last_words(tmp_path: Path) -> None:
    log = tmp_path / "log"
    words = "import sys; print('no such model'); sys.exit(3)"
    service = Service([sys.executable, "-c", words], log, {})
    assert until(lambda: service.ending is not None)
    assert service.ending == "exit code 3"
    assert service.last_lines() == "no such model"
    service.close()
    killed = Service([sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"], log, {})
    assert until(lambda: killed.ending is not None)
    assert killed.ending == "killed by signal 9, perhaps for lack of memory"
    killed.close()


def test_a_command_that_is_not_there(tmp_path: Path) -> None:
    service = Service([str(tmp_path / "nothing")], tmp_path / "log", {})
    assert until(lambda: service.ending is not None)
    assert service.ending == "exit code 127"
    assert "cannot start" in service.last_lines()
    service.close()
