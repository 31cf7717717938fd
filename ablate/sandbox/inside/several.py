"""Inputs and calls; what is right is known outside only."""

from __future__ import annotations

import _sitebuiltins
import builtins
import io
import json
import os
import resource
import signal
import sys
import tempfile
import time
from types import ModuleType

from ablate.sandbox.inside.common import ENDED, PROGRAM, RAISED, described, limit_cpu

TYPE_CHECKING = False  # these imports alone would take as long as the rest of it
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any, NoReturn

    Request = Mapping[str, Any]
    Line = tuple[str, str, str]


def several(request: Request, report: int) -> NoReturn:
    """Each input in a process of its own; all calls in one. Stops at the first that fails."""
    names = vars(ModuleType("__main__"))
    prelude, program = request["prelude"], request["program"]
    exec(compile(prelude, "<prelude>", "exec", dont_inherit=True), names)  # noqa: S102
    names["__name__"] = "__main__"
    one_by_one = request["mode"] == "inputs"
    left = request["total"]
    for given in request["inputs"] if one_by_one else [request["inputs"]]:
        result = _separately(request, names, program, given, report)
        for line in result if one_by_one else _by_call(result):
            text = json.dumps(line).encode() + b"\n"
            left -= len(text)
            os.write(report, text if left >= 0 else b'["failed", "too much output", ""]\n')
            if line[0] != "passed" or left < 0:
                os._exit(ENDED)
    os._exit(ENDED)


def _separately(
    request: Request, names: dict[str, Any], program: str, given: Any, report: int
) -> Iterator[Line]:
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as words:
        child = os.fork()
        if child == 0:
            os.close(report)
            _child(request, names, program, given, output.fileno(), words.fileno())
        _, code = os.waitpid(child, 0)
        output.seek(0)
        words.seek(0)
        told = words.read(2000).decode(errors="replace")
        yield (*_ending(code, told), output.read().decode(errors="replace"))


def _ending(code: int, told: str) -> tuple[str, str]:
    if os.WIFSIGNALED(code):
        number = os.WTERMSIG(code)
        if number == signal.SIGXCPU:
            return "out_of_cpu_time", "out of CPU time"
        return "failed", f"killed by {signal.Signals(number).name}"
    if os.WEXITSTATUS(code):
        return "failed", told or f"exit code {os.WEXITSTATUS(code)}"
    return "passed", ""


def _by_call(result: Iterator[Line]) -> Iterator[Line]:
    """A line for each call that returned, and one for how the last did not."""
    for status, detail, output in result:
        for line in output.split("\n")[:-1]:
            yield "passed", "", line
        if status != "passed":
            yield status, detail, ""


def _child(
    request: Request, names: dict[str, Any], program: str, given: Any, output: int, words: int
) -> NoReturn:
    code = RAISED
    try:
        (_feed if request["mode"] == "inputs" else _call)(request, names, program, given, output)
        code = ENDED
    except SystemExit:
        code = ENDED  # whatever its code: what was printed is what counts
    except BaseException as error:
        os.write(words, described(error).encode(errors="replace")[:2000])
    try:
        sys.stdout.flush()
    except BaseException as error:
        code = RAISED
        os.write(words, described(error).encode(errors="replace")[:2000])
    os._exit(code)


def _feed(request: Request, names: dict[str, Any], program: str, given: str, output: int) -> None:
    with tempfile.TemporaryFile() as text:
        text.write(given.encode())
        text.flush()
        os.dup2(text.fileno(), 0)
    os.lseek(0, 0, os.SEEK_SET)
    _limit_output(request)
    os.dup2(output, 1)
    sys.stdin = io.TextIOWrapper(io.BufferedReader(io.FileIO(0)), encoding="utf-8")
    sys.stdout = io.TextIOWrapper(io.BufferedWriter(io.FileIO(1, "w")), encoding="utf-8")
    for name in ("exit", "quit"):
        setattr(builtins, name, _sitebuiltins.Quitter(name, "end of input"))
    limit_cpu(request["cpu"])
    exec(compile(program, PROGRAM, "exec", dont_inherit=True), names)  # noqa: S102


def _call(
    request: Request, names: dict[str, Any], program: str, given: list[str], output: int
) -> None:
    _limit_output(request)
    hard = 2 * (request["cpu"] + 1) * (len(given) + 1)
    resource.setrlimit(resource.RLIMIT_CPU, (request["cpu"] + 1, hard))
    exec(compile(program, PROGRAM, "exec", dont_inherit=True), names)  # noqa: S102
    owner = names["Solution"]() if "class Solution" in program else None
    function = getattr(owner, request["function"]) if owner else names[request["function"]]
    for arguments in given:
        used = int(time.process_time()) + 1
        resource.setrlimit(resource.RLIMIT_CPU, (min(used + request["cpu"], hard), hard))
        result = function(*map(json.loads, arguments.split("\n")))
        result = list(result) if isinstance(result, tuple) else result
        os.write(output, json.dumps(plain(result)).encode() + b"\n")


def _limit_output(request: Request) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (request["output"], request["output"]))


def plain(value: Any) -> Any:
    """A value as JSON says it, and nothing that only looks equal to one in JSON."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list):
        return [plain(one) for one in value]
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {key: plain(one) for key, one in value.items()}
    return {"not JSON": type(value).__name__}
