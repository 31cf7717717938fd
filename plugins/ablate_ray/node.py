"""On a node: ``python -m ablate_ray.node FILE`` does the job in the file.

A job is JSON, and so is every message, a line on the standard output. The standard input stays open
for as long as somebody wants the job done.
"""

from __future__ import annotations

import fcntl
import json
import os
import platform
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from typing import Any

from ablate.errors import RecipeError
from ablate.planning import make_plan
from ablate.plugins import installed
from ablate.recipe import load_recipe
from ablate.running.environment import environment
from ablate.running.isolation import Isolation
from ablate.store import COMPLETIONS, RECORDS, USAGE, RunDir, TrialDir, to_json

Send = Callable[[Mapping[str, Any]], None]

INTERVAL = 5.0  # s between messages: sending takes time from the cores that are being measured
YOUNG = 60.0  # s
PREFIX = "ablate-ray-"
FILES = (RECORDS, COMPLETIONS, USAGE, "log.txt")


def main() -> None:
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    send = _sender()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored, if Ray was started so
    with _scratch() as folder:
        threading.Thread(target=_end_with_input, daemon=True).start()
        directory = RunDir(folder)
        (directory.path / "recipe.yaml").write_text(job["recipe"], encoding="utf-8")
        if job["what"] == "probe":
            send({"probe": _probe(directory)})
        else:
            _trial(directory, job, send)


@contextmanager
def _scratch() -> Iterator[Path]:
    """A folder for the job, and an end to what killed jobs have left here.

    Ray kills this process together with its worker. A folder is locked while its job lives; a young
    one may be about to be.
    """
    for left in Path(gettempdir()).glob(f"{PREFIX}*"):
        with suppress(OSError):  # locked, somebody else's, or gone by now
            if time.time() - left.stat().st_mtime > YOUNG:
                os.close(_lock(left))
                shutil.rmtree(left)
    with TemporaryDirectory(prefix=PREFIX) as folder:
        _lock(Path(folder))
        yield Path(folder)


def _lock(folder: Path) -> int:
    """Lock a folder for as long as the descriptor is open. Raises OSError if it is locked."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def distributions() -> dict[str, str]:
    """The distributions that provide plugins of ablate, with their versions."""
    return {f.distribution: f.version for f in installed().found}


def _probe(directory: RunDir) -> dict[str, Any]:
    """What this node has, and what stands in the recipe's way here."""
    if not os.environ.get("CUDA_VISIBLE_DEVICES", "all"):
        del os.environ["CUDA_VISIBLE_DEVICES"]  # hidden from this job, which asked for none
    try:
        make_plan(load_recipe(directory.path / "recipe.yaml"))
        problems: tuple[str, ...] = ()
    except RecipeError as error:
        problems = error.problems
    return {
        "environment": environment(),
        "distributions": distributions(),
        "problems": problems,
    }


def _trial(directory: RunDir, job: Mapping[str, Any], send: Send) -> None:
    files = directory.trial(job["arm"], job["block"])
    files.path.mkdir(parents=True)
    for name, text in job["kept"].items():
        (files.path / name).write_text(text, encoding="utf-8")
    plan = make_plan(load_recipe(directory.path / "recipe.yaml"))
    trial = next(t for t in plan.trials if (t.arm.info.id, t.block) == (job["arm"], job["block"]))
    with Courier(files, send):
        isolation = Isolation(plan, directory)
        result = isolation.run(trial, trial.arm.recipe.timeout, lambda _: None)
    machine = {"node_cpu": str(environment()["cpu"]), "node_cores": str(os.cpu_count())}
    info = {**result.info, "node": platform.node(), **machine}
    send({"result": to_json(replace(result, info=info))})


class Courier:
    """Sends what a trial's files gain, line by line, while the context is open.

    So what a trial has finished outlives the node that it ran on.
    """

    def __init__(self, files: TrialDir, send: Send) -> None:
        self._folder = files.path
        self._send = send
        self._sent = {name: self._size(name) for name in FILES}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._go, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._pass_on()

    def _go(self) -> None:
        while not self._over.wait(INTERVAL):
            self._pass_on()

    def _pass_on(self) -> None:
        gained = {name: self._gained(name) for name in FILES}
        if any(gained.values()):
            self._send({"gained": {name: text for name, text in gained.items() if text}})

    def _gained(self, name: str) -> str:
        """The whole lines that a file has gained; a line that is being written waits."""
        if self._size(name) <= self._sent[name]:
            return ""
        with (self._folder / name).open("rb") as stream:
            stream.seek(self._sent[name])
            data = stream.read()
        data = data[: data.rfind(b"\n") + 1]
        self._sent[name] += len(data)
        return data.decode("utf-8", errors="replace")

    def _size(self, name: str) -> int:
        file = self._folder / name
        return file.stat().st_size if file.exists() else 0


def _sender() -> Send:
    """Messages go where the standard output went; what libraries print goes to standard error."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def send(message: Mapping[str, Any]) -> None:
        out.write(json.dumps(message) + "\n")
        out.flush()

    return send


def _end_with_input() -> None:
    """Interrupt the main thread when nobody waits any longer, so that it tidies up after itself."""
    while os.read(0, 1):
        pass
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)


if __name__ == "__main__":
    main()
