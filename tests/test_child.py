"""Work in a process of its own: its errors, and that it never outlives the one it works for."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ablate.child import LOG_LINES, run_module
from ablate.errors import TrialError


@pytest.fixture
def child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module that a child process can import because this process can."""
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path / "child_of_test.py"


def test_a_module_runs_in_a_process_of_its_own(child: Path, tmp_path: Path) -> None:
    child.write_text(
        "import os, sys\nopen(sys.argv[1], 'w').write(f'{os.getpid()} {os.environ[\"COLOUR\"]}')"
    )
    run_module("child_of_test", str(tmp_path / "said"), "testing", {"COLOUR": "red"})
    pid, colour = (tmp_path / "said").read_text().split()
    assert int(pid) != os.getpid()
    assert colour == "red"


def test_a_failing_module_is_one_error_with_the_end_of_its_output(child: Path) -> None:
    child.write_text("for i in range(50): print(i)\nraise SystemExit('out of luck')")
    with pytest.raises(TrialError) as caught:
        run_module("child_of_test", "", "testing", {})
    message = str(caught.value)
    assert message.startswith("testing failed (exit code 1):\n")
    assert message.endswith("out of luck")
    assert len(message.splitlines()) == LOG_LINES + 1


def test_a_killed_module_says_so(child: Path) -> None:
    child.write_text("import os\nos.kill(os.getpid(), 9)")
    with pytest.raises(TrialError, match="killed by signal 9, perhaps for lack of memory"):
        run_module("child_of_test", "", "testing", {})


def test_a_module_ends_in_peace_while_it_watches_its_parent(child: Path) -> None:
    child.write_text("from ablate.lifeline import exit_with_parent\nexit_with_parent()")
    run_module("child_of_test", "", "testing", {})


def test_a_module_ends_when_the_process_that_started_it_is_killed(
    child: Path, tmp_path: Path
) -> None:
    said = tmp_path / "pid"
    child.write_text(
        "import os, sys, time\nfrom ablate.lifeline import exit_with_parent\nexit_with_parent()\n"
        "open(sys.argv[1] + '.new', 'w').write(str(os.getpid()))\n"
        "os.rename(sys.argv[1] + '.new', sys.argv[1])\ntime.sleep(60)"
    )
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            f"import sys; sys.path[:] = {sys.path!r}\n"
            "from ablate.child import run_module\n"
            f"run_module('child_of_test', {str(said)!r}, 'testing', {{}})",
        ]
    )
    wait_until(said.exists)
    pid = int(said.read_text())
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    wait_until(lambda: not running(pid))


def running(pid: int) -> bool:
    """Whether a process runs; one that has ended and was not waited for does not."""
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def wait_until(true: object) -> None:
    assert callable(true)
    for _ in range(200):
        if true():
            return
        time.sleep(0.1)
    raise AssertionError("waited 20 seconds in vain")
