"""Tests, with a proof that they ended.

The program runs in a thread of its own, which the interpreter starts in C: no frame of ours lies
below it but ``DRIVER``'s, a code object whose constants are the program, the tests and the real
``exec``: nothing that a program could replace. The key lies in a local variable of the main thread,
which waits for a lock. When it wakes, it looks whether the driver's frame stands on the lines after
the tests, and only then hands out the key. The main thread runs none of the program's code: no
signal handler (only a main thread could set one), no exception hook, no ``__str__`` or ``__del__``
of its objects. An audit hook, which cannot be removed, refuses the ways from one thread's frames to
another's and to raw memory.

Left to an adversary: the tests can be read and their objects deceived (``__eq__``), and a program
that writes into the interpreter's memory (crafted bytecode, a bug of the interpreter) finds the
key. On Python 3.12 the garbage collector may run in the main thread for another thread's sake, and
with it code of the program's; before, it runs where memory is taken; after, in the thread it is
due in.
"""

from __future__ import annotations

import _thread
import builtins
import os
import resource
import sys
from types import CodeType, ModuleType

from ablate.sandbox.inside.common import ENDED, PROGRAM, RAISED, TESTS, described

TYPE_CHECKING = False  # these imports alone would take as long as the rest of it
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, NoReturn

    Request = Mapping[str, Any]

STACK = 64 << 20

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


def prove(key: bytes, request: Request, report: int) -> NoReturn:
    told: list[Any] = []
    resource.setrlimit(resource.RLIMIT_FSIZE, (request["disk"], request["disk"]))
    wake, go, rest = (_thread.allocate_lock() for _ in range(3))
    for lock in (wake, go, rest):
        lock.acquire()
    try:
        driver = _driver(
            request, told, {"wake": wake.release, "go": go.acquire, "rest": rest.acquire}
        )
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


def _driver(
    request: Request, told: list[Any], locks: Mapping[str, Callable[[], object]]
) -> CodeType:
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
