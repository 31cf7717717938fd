"""Programs that want to do harm, or to pass without being right: none does."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from ablate.sandbox import Limits, Ran, run_tests, unavailable
from tests.sandbox.hostile import FORGED, HARM, PRELUDE

pytestmark = pytest.mark.skipif(unavailable() is not None, reason=str(unavailable()))

USUAL = Limits(cpu=1, wall=30, memory=512 << 20, disk=16 << 20)
IDLE = Limits(cpu=1, wall=0.8, memory=512 << 20, disk=16 << 20)
IDLERS = frozenset(
    {"sleeping for ever", "stopping itself", "fork bomb that goes on", "memory of many processes"}
)


@dataclass(frozen=True)
class Aftermath:
    """How each program ended, and what the host looks like after them."""

    ran: Mapping[str, Ran]
    secret: Path
    connected: bool


@pytest.fixture(scope="module")
def aftermath(tmp_path_factory: pytest.TempPathFactory) -> Aftermath:
    secret = tmp_path_factory.mktemp("host") / "file"
    secret.write_text("a secret of the host", encoding="utf-8")
    with socket.create_server(("127.0.0.1", 0)) as listener, pytest.MonkeyPatch.context() as patch:
        patch.setenv("ABLATE_TEST_SECRET", "x")
        listener.settimeout(0)
        names = (
            f"SECRET, PORT = {str(secret)!r}, {listener.getsockname()[1]}\n"
            f"HOST_PID, HOME = {os.getpid()}, {str(Path.home())!r}\n"
        )

        def run(name: str, program: str) -> Ran:
            limits = IDLE if name in IDLERS else USUAL
            return run_tests(names + PRELUDE + program, "assert harmed", limits)

        programs = HARM | FORGED  # type: ignore[operator]
        with ThreadPoolExecutor(4) as pool:
            ran = dict(zip(programs, pool.map(run, programs, programs.values()), strict=True))
        try:
            connected = bool(listener.accept())
        except BlockingIOError:
            connected = False
    return Aftermath(ran, secret, connected)


@pytest.mark.parametrize("name", [*HARM, *FORGED])
def test_it_does_not_pass(aftermath: Aftermath, name: str) -> None:
    ran = aftermath.ran[name]
    assert not ran.passed
    assert ran.detail
    if name in {"sleeping for ever", "stopping itself"}:
        assert ran.status == "out_of_wall_time"
    if name in {"an endless loop", "a regular expression without end", "printing for ever"}:
        assert ran.status == "out_of_cpu_time"


def test_the_host_is_as_it_was(aftermath: Aftermath) -> None:
    assert [path.name for path in aftermath.secret.parent.iterdir()] == ["file"]
    assert aftermath.secret.read_text(encoding="utf-8") == "a secret of the host"
    assert not aftermath.connected
    assert not Path("/x").exists()
    assert not list(Path.cwd().glob("core*"))


def test_nothing_is_left_running(aftermath: Aftermath) -> None:
    left = [p for p in psutil.process_iter(["cmdline"]) if "AFTER_THE_TESTS" in str(p.info)]
    _, alive = psutil.wait_procs(left, timeout=5)
    assert not alive
