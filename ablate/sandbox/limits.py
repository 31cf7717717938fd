"""What a program may use, and how it ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ablate.errors import AblateError

Status = Literal["passed", "failed", "out_of_cpu_time", "out_of_wall_time"]
MIB = 1 << 20


class SandboxError(AblateError):
    """The sandbox itself did not start: nothing is known about the program."""


@dataclass(frozen=True)
class Limits:
    """Of one run. ``cpu`` (s) judges a program; of several inputs or calls, each by itself.

    ``wall`` (s) is of the whole run and is there for programs that sleep or wait: on a busy machine
    it says nothing about a program that computes. ``memory``: address space of each process.
    ``output``: bytes printed for one input. ``disk``: bytes in ``/tmp``, the only place that can be
    written. ``processes`` counts threads, too.
    """

    cpu: int = 5
    wall: float = 60.0
    memory: int = 2048 * MIB
    output: int = 8 * MIB
    disk: int = 64 * MIB
    processes: int = 64
    files: int = 256


@dataclass(frozen=True)
class Ran:
    """How a program ended. ``detail``: why it did not pass, in a few words. ``output``: what it
    printed for an input, or returned from a call, as JSON.
    """

    status: Status
    detail: str = ""
    output: str = ""

    @property
    def passed(self) -> bool:
        return self.status == "passed"
