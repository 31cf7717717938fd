"""A server of our own: started on a free port, watched until it is up, explained when it fails."""

from __future__ import annotations

import os
import re
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil

from ablate.child import Service
from ablate.engine_args import made
from ablate.engines.base import EngineContext, has_gpu
from ablate.engines.server import ServerEngine
from ablate.engines.server.client import Client, ServerError
from ablate.engines.server.launchers import Launcher
from ablate.errors import TrialError, says_out_of_memory
from ablate.interpreters import interpreter
from ablate.types import ModelSpec

HOST = "127.0.0.1"
POLL = 0.2  # s between looks at a server that is starting
LAST_BREATH = 1.0  # s in which a server that broke a request off may be found dead
LOG_END = 100_000  # bytes of a log in which the reason for an end is looked for
EXCEPTION = re.compile(r"(?:^|\s)((?:\w+\.)*[A-Z]\w*(?:Error|Exception)(?:: .+)?)$")


def launch(
    options: ServerEngine, launcher: Launcher, context: EngineContext
) -> tuple[Service, int]:
    """Start the server; returns it and its port. It is not up yet."""
    by_plugin = context.plugins.engine_args(options.backend, context.model)
    chosen, _ = options.merged_args(by_plugin)
    args = {**_defaults(launcher, context.model), **made(chosen)}
    model = _model(launcher, str(args.pop("model", context.model.path)))
    port = options.port or free_port()
    if not _is_free(port):
        raise TrialError(f"port {port} is taken; leave engine.server.port out to get a free one")
    log = (context.directory or Path.cwd()) / f"{options.launch}.log"
    words = launcher.words(interpreter(options.python), model, port, args)
    return Service(words, log, _environment(options, launcher)), port


def wait_until_up(service: Service, port: int, client: Client, options: ServerEngine) -> None:
    """Return when the server is healthy. Raises TrialError if it ends or takes too long."""
    launcher = options.launcher
    health = launcher.health if launcher else "/v1/models"
    deadline = time.monotonic() + options.startup_timeout
    while not _is_healthy(client, health):
        if service.ending:
            log = _end_of(service.log)
            why = first_exception(log) or refused_argument(log)
            raise failure(service, ServerError(f"the server did not start{why and f': {why}'}"))
        if time.monotonic() > deadline:
            limit = f"{options.startup_timeout:g} s (option: startup_timeout)"
            fault = ServerError(f"the server was not up after {limit}", "timeout")
            raise failure(service, fault)
        time.sleep(POLL)
    if not _listens(service, port):
        fault = ServerError(f"another process answers on port {port}, so it was taken meanwhile")
        raise failure(service, fault)


def failure(service: Service | None, fault: ServerError) -> TrialError:
    """What went wrong, with how the server ended, if it did, and the last lines of its log."""
    if service is None:
        return TrialError(str(fault), fault.kind)
    ending = service.wait(LAST_BREATH)
    log = _end_of(service.log)
    kind = fault.kind
    if says_out_of_memory(f"{fault}\n{log}"):
        kind = "out_of_memory"
    elif ending and "signal 9" in ending:
        if first_exception(log):  # SGLang kills itself after an error
            ending = "killed by signal 9, after an error"
        else:
            kind = "killed"
    what = f"{fault}; the server ended: {ending}" if ending else str(fault)
    return TrialError(f"{what}\n{service.last_lines()}\n(all of it: {service.log})", kind)


def first_exception(log: str) -> str:
    """The line of the first traceback that says what was raised: the others follow from it."""
    _, _, after = log.partition("Traceback (most recent call last)")
    found = (EXCEPTION.search(line.rstrip()) for line in after.splitlines())
    return next((match[1] for match in found if match), "")


def refused_argument(log: str) -> str:
    """The line by which Python's parser of arguments says what it does not take."""
    return next((line for line in reversed(log.splitlines()) if ": error: " in line), "")


def _defaults(launcher: Launcher, model: ModelSpec) -> dict[str, Any]:
    values = {argument: getattr(model, name) for argument, name in launcher.from_model.items()}
    given = {name: value for name, value in values.items() if value not in (None, False, "auto")}
    safe = {} if model.allow_pickle else launcher.no_pickles
    return {**launcher.defaults, **(launcher.on_cpu if not has_gpu() else {}), **safe, **given}


def _model(launcher: Launcher, path: str) -> str:
    """What the server loads: the model, or the one file of its folder that the server can read."""
    folder = Path(path)
    if launcher.files is None or not folder.is_dir():
        return path
    found = sorted(folder.glob(launcher.files))
    if len(found) != 1:
        names = ", ".join(f.name for f in found) or "none"
        raise TrialError(
            f"this server loads one file {launcher.files}, and {path} has: {names}; name the file "
            "(engine.server.args.model)"
        )
    return str(found[0])


def _environment(options: ServerEngine, launcher: Launcher) -> Mapping[str, str]:
    ours = (
        {k: v for k, v in launcher.cpu_env.items() if k not in os.environ} if not has_gpu() else {}
    )
    found = {**launcher.env, **ours, **options.env}
    places = (options.env, launcher.env, os.environ)
    paths = [path for place in places if (path := place.get("PYTHONPATH"))]
    return {**found, "PYTHONPATH": os.pathsep.join(paths)} if paths else found


def free_port() -> int:
    """A port of loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def _is_healthy(client: Client, path: str) -> bool:
    try:
        return client.get(path, timeout=5.0).status == 200
    except ServerError:
        return False


def _listens(service: Service, port: int) -> bool:
    for process in service.tree:
        try:
            found = process.net_connections("tcp")
        except psutil.NoSuchProcess:
            continue
        except psutil.Error:  # not allowed to look: no reason to doubt
            return True
        if any(c.status == "LISTEN" and c.laddr.port == port for c in found):
            return True
    return False


def _end_of(log: Path) -> str:
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - LOG_END))
        return file.read().decode(errors="replace")
