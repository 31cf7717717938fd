"""Servers that `ablate` starts: they come up or say why not, and none outlives its trial."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil
import pytest

from ablate.child import Service
from ablate.compatibility import incompatibilities
from ablate.engines.server.client import ServerError
from ablate.engines.server.process import failure
from ablate.errors import TrialError
from ablate.plugins import installed
from ablate.store import RunDir
from tests.engines.attached import MODEL, TOKENS, context, engine, load, served
from tests.stand_ins import Loader

TRACEBACK = ("Traceback (most recent call last)", "  x: no", "ValueError: too small", "EOFError: y")
pytestmark = pytest.mark.usefixtures("fake_launcher")


def opened_with(tmp_path: Path, **args: Any) -> Any:
    options = {k: args.pop(k) for k in ("port", "startup_timeout") if k in args}
    return engine(launch="fake", args=args, **options).open(context(tmp_path))


def servers(log: Path) -> list[psutil.Process]:
    return [p for p in psutil.process_iter() if serves(p, log)]


def serves(process: psutil.Process, mark: Path) -> bool:
    try:
        words = " ".join(process.cmdline())
    except psutil.Error:
        return False
    return "fake_server" in words and str(mark) in words


def test_a_launched_server_serves_and_is_gone_afterwards(tmp_path: Path) -> None:
    with closing(opened_with(tmp_path, served=str(tmp_path))) as session:
        done, usage, counters = served(session, load(concurrency=2))
        assert [c.output_tokens for c in done] == [TOKENS] * 3
        assert session.cpu_seconds > 0
        assert session.peak_rss_bytes > 1_000_000
        assert session.evidence_state("measured").engine == "fake"
        assert counters["spec_num_drafts"] == 3
        assert usage
        assert servers(tmp_path)
    assert not servers(tmp_path)
    assert "loading" in (tmp_path / "fake.log").read_text()


@pytest.mark.parametrize(
    ("args", "kind", "words"),
    [
        (
            {"dies": "no such model"},
            "error",
            r"did not start; .*exit code 3\nloading(.|\n)*no such",
        ),
        ({"dies": "RuntimeError: out of memory"}, "out_of_memory", "exit code 3"),
        ({"startup": 60.0, "startup_timeout": 1.5}, "timeout", "not up after 1.5 s"),
        ({"nonsense": 1}, "error", "did not start: .*: error: unrecognized arguments"),
        (
            {"dies": "\n".join(TRACEBACK)},
            "error",
            "did not start: ValueError: too small; the server ended: exit code 3",
        ),
    ],
)
def test_a_server_that_does_not_come_up(
    tmp_path: Path, args: dict[str, Any], kind: str, words: str
) -> None:
    with pytest.raises(TrialError, match=words) as caught:
        opened_with(tmp_path, served=str(tmp_path), **args)
    assert caught.value.kind == kind
    assert str(tmp_path / "fake.log") in str(caught.value)
    assert not servers(tmp_path)


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(TrialError, match=f"port {port} is taken"):
            opened_with(tmp_path, port=port)


@pytest.mark.parametrize(
    ("fault", "kind", "words"),
    [
        ("die", "error", r"the server ended: exit code 7\n(.|\n)*something broke"),
        ("oom", "out_of_memory", "CUDA out of memory"),
        ("kill", "killed", "signal 9"),
    ],
)
def test_a_server_that_dies_while_it_serves(
    tmp_path: Path, fault: str, kind: str, words: str
) -> None:
    with closing(opened_with(tmp_path, fault=fault)) as session:
        with pytest.raises(TrialError, match=words) as caught:
            served(session, load(concurrency=1))
        assert caught.value.kind == kind


@pytest.mark.parametrize(
    ("last", "kind", "words"),
    [("1 / 0", "error", "signal 9, after an error"), ("0", "killed", "for lack of memory")],
)
def test_a_server_that_kills_itself_did_not_lack_memory(
    tmp_path: Path, last: str, kind: str, words: str
) -> None:
    code = f"""
import os, traceback
try:
    {last}
except Exception:
    traceback.print_exc()
os.kill(os.getpid(), 9)
"""
    with closing(Service([sys.executable, "-c", code], tmp_path / "log", {})) as service:
        while service.ending is None:
            time.sleep(0.05)
        found = failure(service, ServerError("it broke off"))
    assert found.kind == kind
    assert words in str(found)


def test_what_plugins_may_set(tmp_path: Path) -> None:
    engines = installed().registry.all("engine")

    def problems(made: Any) -> list[str]:
        return incompatibilities({"loader": Loader()}, "server", made, engines, MODEL)

    assert problems(engine(launch="fake")) == []
    both = engine(launch="fake", args={"quantization": {"method": "mine"}})
    assert "both set engine argument 'quantization.method'" in problems(both)[0]
    assert "--port from ablate" in problems(engine(launch="fake", args={"port": 3}))[0]


def test_an_interpreter_without_the_server() -> None:
    def problems(made: Any) -> list[str]:
        return incompatibilities({}, "server", made, {}, MODEL)

    assert problems(engine(launch="sglang", python="/no/python")) == [
        "engine.server.python: /no/python is no interpreter that can be run"
    ]
    (problem,) = problems(engine(launch="lmdeploy"))
    assert "lmdeploy is not installed" in problem
    assert "engine.server.python" in problem


def test_plugins_are_refused_by_a_server_that_runs_already() -> None:
    engines = installed().registry.all("engine")
    awq = installed().optimizations["awq"]()
    made = engine(base_url="http://localhost:1")
    problem = incompatibilities({"awq": awq}, "server", made, engines, MODEL)[0]
    assert "cannot be changed" in problem
    assert "{set: {engine.server.base_url: …}}" in problem


def recipe(folder: Path, **args: Any) -> Path:
    keys = {
        "name": "test",
        "model": "tiny-reasoner",
        "engine": {"server": {"launch": "fake", "args": {"served": str(folder), **args}}},
        "domains": {"arithmetic": {"limit": 4}},
        "sampling": {"max_tokens": 64},
        "blocks": 1,
        "floor": False,
    }
    file = folder / "recipe.yaml"
    file.write_text(json.dumps(keys))
    return file


def started(fake_site: Path, file: Path, out: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "ablate", "run", str(file), "--output-dir", str(out)]
    # a background job of a shell ignores SIGINT, and so would its children
    heeding = "import os, signal, sys as s; signal.signal(2, signal.SIG_DFL); "
    heeding += "os.execv(s.argv[1], s.argv[1:])"
    return subprocess.Popen(
        [sys.executable, "-c", heeding, *command],
        env={**os.environ, "PYTHONPATH": str(fake_site)},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def until(true: Any, seconds: float = 60.0) -> bool:
    deadline = time.monotonic() + seconds
    while not true() and time.monotonic() < deadline:
        time.sleep(0.1)
    return bool(true())


def test_a_failure_is_the_trials_recorded_result(tmp_path: Path, fake_site: Path) -> None:
    run = started(fake_site, recipe(tmp_path, fault="die", strikes=5), tmp_path / "run")
    _, said = run.communicate(timeout=120)
    (trial,) = RunDir(tmp_path / "run").trials(RunDir(tmp_path / "run").info())
    assert trial.result.status == "failed", said
    assert "something broke" in (trial.result.message or "")
    assert not servers(tmp_path)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_server_outlives_ablate(tmp_path: Path, fake_site: Path, number: signal.Signals) -> None:
    run = started(fake_site, recipe(tmp_path, fault="hang"), tmp_path / "run")
    log = tmp_path / "run" / "trials" / "baseline" / "0" / "fake.log"
    assert until(lambda: log.exists() and servers(tmp_path)), run.poll()
    os.kill(run.pid, number)
    run.communicate(timeout=60)
    assert until(lambda: not servers(tmp_path), 30.0)
