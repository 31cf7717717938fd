"""A process that grades answers: ``python -m ablate.grading.worker FD PRIORITY``.

It grades in its main thread, where graders may set alarms. At priority ``idle`` it yields to
everything else on the machine: the engine that is being measured comes first.
"""

from __future__ import annotations

import os
import resource
import sys
import traceback
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING

from ablate.types import FinishReason, Grade, Problem

if TYPE_CHECKING:
    from ablate.domains.base import Domain

MEMORY = 8 << 30  # bytes of address space, also of what it starts

Answer = Grade | TimeoutError | str
"""A grade, that time ran out, or what the grader raised."""


def main() -> None:
    connection = Connection(int(sys.argv[1]))
    if sys.argv[2] == "idle":
        _yield_to_others()
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    if most == resource.RLIM_INFINITY or most > MEMORY:
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, most))
    connection.send(os.getpid())
    with suppress(EOFError, OSError):  # the trial is over
        while True:
            domain, problem, text, finish_reason = connection.recv()
            connection.send(_answer(domain, problem, text, finish_reason))


def _answer(domain: Domain, problem: Problem, text: str, finish_reason: FinishReason) -> Answer:
    try:
        return domain.grade(problem, text, finish_reason)
    except TimeoutError as error:
        return error
    except MemoryError:
        raise  # what is left of this process is not to be trusted
    except Exception as error:
        traceback.print_exc()  # into the trial's log
        return f"{type(error).__name__}: {error}"


def _yield_to_others() -> None:
    """Run only while a core has nothing else to do, as far as the system knows how."""
    try:
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    except (AttributeError, OSError):
        os.nice(19)


if __name__ == "__main__":
    main()
