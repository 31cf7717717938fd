"""What proofs and tries have in common: limits, and how an exception is put into words."""

from __future__ import annotations

import resource
import sys
from types import TracebackType

TYPE_CHECKING = False  # these imports alone would take as long as the rest of it
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    Request = Mapping[str, Any]

PROGRAM, TESTS = "<program>", "<tests>"
ENDED, RAISED = 0, 1  # exit codes


def limit_all(request: Request) -> None:
    """Limits of every process; a kernel may refuse to raise one, never to lower it."""
    for kind, most in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_AS, request["memory"]),
        (resource.RLIMIT_NOFILE, request["files"]),
        (resource.RLIMIT_NPROC, request["processes"]),
    ):
        _, hard = resource.getrlimit(kind)
        least = most if hard == resource.RLIM_INFINITY else min(most, hard)
        try:
            resource.setrlimit(kind, (least, least))
        except (ValueError, OSError):  # macOS refuses some, and is no sandbox anyway
            if sys.platform == "linux":
                raise


def limit_cpu(seconds: int) -> None:
    """SIGXCPU when they are over, which says why; SIGKILL a second later."""
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))


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
