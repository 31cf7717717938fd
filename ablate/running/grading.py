"""Answers that take long to grade, graded beside the trial by processes that can be ended.

While requests are served the processes run at idle priority, so a grade that takes too long then
may only have been kept from running. It is no verdict: the answer is graded again when everything
is served, at ordinary priority, and only then its time is over.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from queue import SimpleQueue
from typing import Literal

from ablate.domains.base import Domain
from ablate.errors import TrialError
from ablate.grading.worker import Answer
from ablate.types import Completion, Grade, Problem

MOST_WORKERS = 4
START = 120.0  # s that Python may take to start on a busy machine
Priority = Literal["idle", "usual"]


@dataclass(frozen=True)
class Asked:
    """An answer to be graded."""

    domain: Domain
    problem: Problem
    completion: Completion

    def grade(self) -> Grade:
        """The grade, made here and now."""
        done = self.completion
        return self.domain.grade(self.problem, done.text, done.finish_reason)


class Worker:
    """One process, started when it is needed, and another one after it was ended."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: Connection | None = None
        self._priority: Priority = "idle"
        self._over = False
        self._starting = threading.Lock()

    def ready(self, priority: Priority) -> Connection:
        """The process that runs. Raises TrialError if it does not come up."""
        if self._connection is None or priority != self._priority:
            self.close()
            self._connection, self._priority = self._start(priority), priority
        return self._connection

    def _start(self, priority: Priority) -> Connection:
        mine, theirs = Pipe()
        command = [sys.executable, "-m", "ablate.grading.worker", str(theirs.fileno()), priority]
        path = os.pathsep.join(str(Path(p).absolute()) for p in sys.path)
        with theirs, self._starting:
            if self._over:
                raise TrialError("the trial is over")
            # in the trial's own process group, which is ended as a whole
            self._process = subprocess.Popen(  # noqa: S603 - our own module
                command, pass_fds=(theirs.fileno(),), env={**os.environ, "PYTHONPATH": path}
            )
        with suppress(EOFError, OSError):
            if mine.poll(START):
                mine.recv()
                return mine
        self.close()
        raise TrialError("a process that grades answers did not start; its words are in log.txt")

    def answer(self, asked: Asked, priority: Priority) -> Answer:
        """The grade; TimeoutError if it took too long or took its process with it."""
        connection = self.ready(priority)
        done = asked.completion
        with suppress(EOFError, OSError):
            connection.send((asked.domain, asked.problem, done.text, done.finish_reason))
            if connection.poll(asked.domain.grading_timeout):
                answer: Answer = connection.recv()
                return answer
        self.close()
        return TimeoutError()

    def close(self) -> None:
        """End the process; the next answer starts another."""
        process, connection = self._process, self._connection
        self._process = self._connection = None
        if connection is not None:
            connection.close()
        if process is not None:
            process.kill()
            process.wait()

    def end(self) -> None:
        """End the process for good; from whatever thread."""
        with self._starting:
            self._over = True
        self.close()


class Grading:
    """Grades beside the trial. ``on_grade`` is called with each grade, in threads of its own.

    ``close`` ends its processes; ``finish`` waits for all grades.
    """

    def __init__(self, domains: Mapping[str, Domain], on_grade: Callable[[Asked, Grade], None]):
        slow = any(domain.slow for domain in domains.values())
        count = min(MOST_WORKERS, os.cpu_count() or 1) if slow else 0
        self._workers = [Worker() for _ in range(count)]
        self._on_grade = on_grade
        self._queue: SimpleQueue[Asked | None] = SimpleQueue()
        self._late: list[Asked] = []
        self._failure: Exception | None = None
        self.given_up = 0
        self._threads = self._serve("idle")

    def close(self) -> None:
        self._failure = self._failure or TrialError("the trial is over")
        for worker in self._workers:
            worker.end()

    def submit(self, asked: Asked) -> None:
        self._queue.put(asked)

    def finish(self) -> None:
        """Wait for every grade. Raises TrialError if a grader failed."""
        self._drain()
        late, self._late = self._late, []
        if late and self._failure is None:
            for asked in late:
                self._queue.put(asked)
            self._threads = self._serve("usual")
            self._drain()
        if self._failure is not None:
            raise self._failure

    def _serve(self, priority: Priority) -> list[threading.Thread]:
        threads = [
            threading.Thread(target=self._work, args=(worker, priority), daemon=True)
            for worker in self._workers
        ]
        for thread in threads:
            thread.start()
        return threads

    def _drain(self) -> None:
        for _ in self._threads:
            self._queue.put(None)
        for thread in self._threads:
            thread.join()

    def _work(self, worker: Worker, priority: Priority) -> None:
        try:
            worker.ready(priority)
            while (asked := self._queue.get()) is not None:
                if self._failure is None:
                    self._take(asked, worker.answer(asked, priority), priority)
        except Exception as error:  # for ``finish``, in the trial's thread
            self._failure = self._failure or error

    def _take(self, asked: Asked, answer: Answer, priority: Priority) -> None:
        if isinstance(answer, Grade):
            self._on_grade(asked, answer)
        elif isinstance(answer, str):
            raise TrialError(f"grading {asked.completion.request_id!r} failed: {answer}")
        elif priority == "idle":
            self._late.append(asked)
        else:
            self.given_up += 1
            self._on_grade(asked, Grade(asked.domain.timed_out, "out of time"))
