"""A process for each trial: whatever happens in it is that trial's result and nobody else's."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from multiprocessing import forkserver, get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from types import ModuleType

from ablate.engines.base import has_gpu
from ablate.planning import Plan, TrialPlan, make_plan
from ablate.recipe import load_recipe
from ablate.running.trial import Progress, run_trial
from ablate.store import RunDir, TrialDir
from ablate.types import TrialResult

LOG_LINES = 12


class Isolation:
    """Starts trials from a fork server that has modules loaded already."""

    def __init__(self, plan: Plan, directory: RunDir) -> None:
        self._context: ForkServerContext = get_context("forkserver")
        self._context.set_forkserver_preload(preloads(plan))
        self._directory = directory
        # that of an earlier run, in a notebook, has the environment and the modules of that time
        forkserver._forkserver._stop()  # type: ignore[attr-defined]
        # libraries talk while they are imported; that is for a log, not for the user's terminal
        with _stderr_to(directory.path / "server.log"):
            forkserver.ensure_running()

    def run(
        self, trial: TrialPlan, seconds: float, on_progress: Callable[[Progress], None]
    ) -> TrialResult:
        """Run a trial to its end, at most ``seconds``; always leaves its result on disk."""
        arm, block = trial.arm.info.id, trial.block
        files = self._directory.trial(arm, block)
        files.path.mkdir(parents=True, exist_ok=True)
        mine, theirs = self._context.Pipe()
        process = self._context.Process(
            target=_child,
            args=(str(self._directory.path), arm, block, theirs),
            name=f"{arm}-{block}",
        )
        with _without_main():
            process.start()
        theirs.close()
        try:
            ended = _watch(process, mine, time.monotonic() + seconds, on_progress)
        finally:
            _kill(process)
            mine.close()
        result = files.result() if ended else None
        if result is None:
            result = _post_mortem(trial, files, process.exitcode, None if ended else seconds)
            files.write_result(result)
        return result


def preloads(plan: Plan) -> list[str]:
    """The modules that the fork server loads for all trials.

    Where there is a GPU it loads none of the engines': they import libraries that ask for the GPU
    while they are imported, such as torchao, and a process forked from one that did cannot use it.
    """
    engines = {name for arm in plan.arms for name in arm.engine.preload}
    return [__name__, *([] if has_gpu() else sorted(engines))]


@contextmanager
def _without_main() -> Iterator[None]:
    """Hides the script or notebook that runs ablate from the process that is started meanwhile.

    multiprocessing would execute it again there, and so start the whole run again. A trial needs
    nothing of it.
    """
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


def _watch(
    process: ForkServerProcess,
    connection: Connection,
    deadline: float,
    on_progress: Callable[[Progress], None],
) -> bool:
    """Pass messages on until the process ends (True) or time is up (False)."""
    open_ends: list[Connection | int] = [connection, process.sentinel]
    while True:
        ready = wait(open_ends, timeout=max(deadline - time.monotonic(), 0))
        if not ready:
            return False
        if connection in ready:
            try:
                on_progress(Progress(**json.loads(connection.recv_bytes())))
            except EOFError:
                open_ends.remove(connection)
        elif process.sentinel in ready:
            return True


def _kill(process: ForkServerProcess) -> None:
    """End the process and what it started; it leads a process group of its own."""
    if process.pid is not None:
        with suppress(ProcessLookupError):  # all gone already
            os.killpg(process.pid, signal.SIGKILL)
    if process.is_alive():
        process.kill()
    process.join()


def _post_mortem(
    trial: TrialPlan, files: TrialDir, exitcode: int | None, timed_out: float | None
) -> TrialResult:
    if timed_out is not None:
        kind, message = "timeout", f"the trial took more than {timed_out:g} s (key: timeout)"
    elif exitcode == -signal.SIGKILL:
        kind, message = "killed", "killed by SIGKILL, as the kernel does when memory runs out"
    elif exitcode is not None and exitcode < 0:
        kind, message = "crash", f"the process died of {signal.Signals(-exitcode).name}"
    else:
        kind, message = "error", f"the process ended with exit code {exitcode}"
    tail = _last_lines(files.log)
    text = f"{message}\n{tail}" if tail else message
    return TrialResult(
        trial.arm.info.id, trial.block, "failed", kind=kind, message=text, resumed=False
    )


def _last_lines(log: Path) -> str:
    if not log.exists():
        return ""
    return "\n".join(log.read_text(errors="replace").splitlines()[-LOG_LINES:])


def _child(directory: str, arm_id: str, block: int, connection: Connection) -> None:
    os.setsid()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what an interrupt means
    run = RunDir(Path(directory))
    files = run.trial(arm_id, block)
    _log_to(files.log)
    threading.Thread(target=_die_with_parent, args=(connection,), daemon=True).start()

    def report(progress: Progress) -> None:
        connection.send_bytes(json.dumps(asdict(progress)).encode())

    try:
        plan = make_plan(load_recipe(run.path / "recipe.yaml"))
        arm = next(a for a in plan.arms if a.info.id == arm_id)
        run_trial(arm, block, files, report)
    except Exception:
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)


def _die_with_parent(connection: Connection) -> None:
    """The parent never sends: the pipe becomes readable when the parent is gone."""
    connection.poll(None)
    os.killpg(os.getpid(), signal.SIGKILL)


def _log_to(file: Path) -> None:
    log = _opened(file)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)


@contextmanager
def _stderr_to(file: Path) -> Iterator[None]:
    """What is started meanwhile writes its errors into a file."""
    terminal, log = os.dup(2), _opened(file)
    os.dup2(log, 2)
    os.close(log)
    try:
        yield
    finally:
        os.dup2(terminal, 2)
        os.close(terminal)


def _opened(file: Path) -> int:
    return os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
