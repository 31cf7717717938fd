"""What runs in the sandbox, before and around a program: its text is given to the interpreter.

A request comes on standard input, the report goes to standard output; both are out of a program's
reach before it starts. Standard library only.

**The proof** (``prove``). The program runs in a thread of its own, which the interpreter starts in
C: no frame of ours lies below it. What it runs is ``DRIVER``, a code object whose constants are the
program, the tests, and the real ``exec``: nothing that a program could replace. The key lies in a
local variable of the main thread, which waits for a lock. When it wakes, it looks whether the
driver's frame stands on the lines that come after the tests, and only then hands out the key. The
main thread runs none of the program's code: no signal handler (only a main thread could set one),
no exception hook, no ``__str__`` of its objects. ``refuse`` is an audit hook, which cannot be
removed, against the ways from one thread's frames to another's and to raw memory.
"""

from __future__ import annotations

import _thread
import marshal
import os
import resource
import signal
import sys
from types import CodeType, FrameType, ModuleType, TracebackType

TYPE_CHECKING = False  # these imports alone would take as long as the rest of it
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import Any, NoReturn

    Request = Mapping[str, Any]
    Line = tuple[str, str, str]

PROGRAM, TESTS = "<program>", "<tests>"
STACK = 64 << 20
ENDED, RAISED = 0, 1

# Strings that are called stand for objects that take their places among the constants.
DRIVER = """\
"wake"()
"go"()
try:
    "exec"("program", "names")
    "restore"("builtins")
    "rebind"("binding")
    "exec"("tests", "names")
    "wake"()
    "rest"()
except "anything" as error:
    "tell"(error)
finally:
    "wake"()
"""
AFTER_THE_TESTS = (8, 9)


def main() -> None:
    request = marshal.loads(sys.stdin.buffer.read())  # noqa: S302 - from who started this
    report = os.dup(1)
    null = os.open(os.devnull, os.O_RDWR)
    for standard in range(3):
        os.dup2(null, standard)
    # SIGINT would raise in the main thread; the alarm is for what no sandbox ends.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.alarm(request["alarm"])
    os.write(report, b"+")
    _limit(request)
    if request["mode"] == "tests":
        _cpu(request["cpu"])
        prove(request.pop("key"), request, report)
    several(request, report)


def _limit(request: Request) -> None:
    """Limits of every process; a kernel may refuse to raise one, never to lower it."""
    for kind, most in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_AS, request["memory"]),
        (resource.RLIMIT_NOFILE, request["files"]),
        (resource.RLIMIT_NPROC, request["processes"]),
    ):
        _, hard = resource.getrlimit(kind)
        least = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (least, least))


def _cpu(seconds: int) -> None:
    """SIGXCPU when they are over, which says why; SIGKILL a second later."""
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))


# --- tests, with a proof that they ended


def prove(key: bytes, request: Request, report: int) -> NoReturn:
    told: list[Any] = []
    resource.setrlimit(resource.RLIMIT_FSIZE, (request["disk"], request["disk"]))
    wake, go, rest = (_thread.allocate_lock() for _ in range(3))
    for lock in (wake, go, rest):
        lock.acquire()
    try:
        driver = _driver(request, told, {"wake": wake.release, "go": go.acquire, "rest": rest.acquire})
    except BaseException as error:
        os.write(report, described(error).encode("utf-8", "replace")[:2000])
        os._exit(RAISED)
    _thread.stack_size(STACK)
    thread = _thread.start_new_thread(exec, (driver, {}))
    _thread.stack_size(0)
    wake.acquire()  # it stands before the program
    frame = sys._current_frames()[thread]
    write, leave, lines, text, kind = os.write, os._exit, AFTER_THE_TESTS, str, type
    sys.addaudithook(_refusal())
    go.release()
    # From here to the key nothing is looked up that a program could replace, nothing it made is
    # held or let go, nothing is raised, and nothing is allocated that would have the garbage
    # collector run, and with it code of the program's, in this thread.
    wake.acquire()
    if frame.f_lineno in lines:
        write(report, key)
        leave(ENDED)
    key = b""
    for words in told:
        if kind(words) is text:
            write(report, words.encode("utf-8", "replace")[:2000])
            break
    leave(RAISED)


def _driver(request: Request, told: list[Any], locks: Mapping[str, Callable[[], object]]) -> CodeType:
    import builtins

    module = ModuleType("program")  # not __main__: a program's own trial runs are left out
    sys.modules["program"] = module
    return fixed(
        compile(DRIVER, "<driver>", "exec"),
        {
            **locks,
            "exec": exec,
            "program": compile(request["program"], PROGRAM, "exec", dont_inherit=True),
            "tests": compile(request["tests"], TESTS, "exec", dont_inherit=True),
            "names": vars(module),
            "restore": vars(builtins).update,
            "builtins": tuple(vars(builtins).items()),
            "rebind": vars(module).update,
            "binding": (("__builtins__", builtins),),
            "anything": BaseException,
            "tell": lambda error: told.append(described(error)),
        },
    )


def fixed(code: CodeType, constants: Mapping[str, object]) -> CodeType:
    """Code with objects in the place of the strings that name them."""
    return code.replace(
        co_consts=tuple(constants.get(c, c) if type(c) is str else c for c in code.co_consts)
    )


def _refusal() -> Callable[[str, tuple[Any, ...]], None]:
    """The audit hook; it looks nothing up that a program could replace."""

    def refuse(event: str, args: tuple[Any, ...]) -> None:
        if event == "import":
            # copies: a program's own kind of text could answer as it likes
            name, path = "".join((args[0], "")), "".join((args[1] or "", ""))
            for part in name.split("."):
                if part in {
                    "ctypes", "_ctypes", "_ctypes_test", "_testcapi", "_testinternalcapi",
                    "_testlimitedcapi", "_testbuffer", "_xxsubinterpreters", "_interpreters",
                    "_xxinterpchannels", "_testmultiphase", "_testsinglephase", "_remote_debugging",
                }:  # fmt: skip
                    raise ImportError(f"{name} cannot be imported in the sandbox")
            if path and (not path.startswith("libraries") or ".." in path):
                raise ImportError(f"{path} cannot be imported in the sandbox")
        elif event in {
            "sys._current_frames", "sys._current_exceptions", "sys.settrace", "sys.setprofile",
            "sys.addaudithook", "sys.monitoring.register_callback", "sys.remote_exec",
            "gc.get_objects", "gc.get_referrers", "gc.get_referents",
            "cpython.PyInterpreterState_New",
        }:  # fmt: skip
            raise PermissionError(f"{event} is refused in the sandbox")

    libraries = f"{os.path.dirname(os.__file__)}/lib-dynload/"
    refuse.__code__ = fixed(refuse.__code__, {"libraries": libraries})
    return refuse


def described(error: BaseException) -> str:
    """Type, message and line of an exception; runs the program's code, so never in main."""
    try:
        words = f"{type(error).__name__}: {error}".split("\n")[0][:300].removesuffix(": ")
    except BaseException:
        words = "an exception that cannot be shown"
    line, name = _line(error.__traceback__)
    return f"{words} (line {line} of the {name})" if line else words


def _line(traceback: TracebackType | None) -> tuple[int, str]:
    """The last line of the tests that was reached, or else of the program."""
    found = (0, "")
    while traceback is not None:
        file = traceback.tb_frame.f_code.co_filename
        if file == TESTS or (file == PROGRAM and found[1] != "tests"):
            found = (traceback.tb_lineno, "tests" if file == TESTS else "program")
        traceback = traceback.tb_next
    return found


# --- inputs and calls; what is right is known outside only


def several(request: Request, report: int) -> NoReturn:
    """Each input in a process of its own; all calls in one. Stops at the first that fails."""
    import json

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
    import tempfile

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
    resource.setrlimit(resource.RLIMIT_FSIZE, (request["output"], request["output"]))
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
    import _sitebuiltins
    import builtins
    import io
    import tempfile

    with tempfile.TemporaryFile() as text:
        text.write(given.encode())
        text.flush()
        os.dup2(text.fileno(), 0)
    os.lseek(0, 0, os.SEEK_SET)
    os.dup2(output, 1)
    sys.stdin = io.TextIOWrapper(io.BufferedReader(io.FileIO(0)), encoding="utf-8")
    sys.stdout = io.TextIOWrapper(io.BufferedWriter(io.FileIO(1, "w")), encoding="utf-8")
    for name in ("exit", "quit"):
        setattr(builtins, name, _sitebuiltins.Quitter(name, "end of input"))
    _cpu(request["cpu"])
    exec(compile(program, PROGRAM, "exec", dont_inherit=True), names)  # noqa: S102


def _call(
    request: Request, names: dict[str, Any], program: str, given: list[str], output: int
) -> None:
    import json
    import time

    hard = 2 * request["cpu"] * (len(given) + 1)
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


def plain(value: Any) -> Any:
    """A value as JSON says it, and nothing that only looks equal to one in JSON."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list):
        return [plain(one) for one in value]
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {key: plain(one) for key, one in value.items()}
    return {"not JSON": type(value).__name__}


if __name__ == "__main__":
    main()
