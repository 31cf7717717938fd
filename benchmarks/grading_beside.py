"""What grading beside a trial costs it: the in-process engine with idle and with busy workers.

``python -m benchmarks.grading_beside [--pairs N] [--threads N]``: the shipped reasoner serves the
same requests again and again, in turn with nothing beside it and with every grading worker always
busy with formulas. Prints the ratio of its throughput, pair by pair, and how many answers were
graded meanwhile: with a thread on every core, next to none, as the workers wait for a free one.
"""

from __future__ import annotations

import argparse
import threading
import time
from contextlib import closing
from dataclasses import replace

from ablate.domains.arithmetic import Arithmetic
from ablate.engines.base import EngineContext, Session
from ablate.engines.local import LocalEngine
from ablate.models import ModelConfig, resolve_model
from ablate.plugins import ArmPlugins
from ablate.running.grading import Asked, Grading
from ablate.types import Completion, Grade, Load, Problem, Request, Sampling
from ablate_datasets.math500 import Math500
from benchmarks.ratios import print_ratios

REQUESTS = 96
CONCURRENCY = 8
FORMULA = Problem("0", Math500.name, "", r"\frac{1}{2} + \sqrt{3}")


class Feeder:
    """Keeps every worker busy between ``begin`` and ``end``; counts what is graded meanwhile."""

    def __init__(self) -> None:
        self.graded = 0
        self._number = 0
        self._busy = threading.Event()
        self._domain = Math500(path="unread")
        self._grading = Grading({Math500.name: self._domain}, self._on_grade)
        self.close = self._grading.close
        for _ in range(8):
            self._submit()
        while self.graded < 2:  # until they have imported what they need
            time.sleep(0.1)

    def _submit(self) -> None:
        self._number += 1  # another text each time: verdicts are remembered
        text = rf"so \boxed{{\frac{{{self._number}}}{{{self._number + 1}}} + \sqrt{{3}}}}"
        done = Completion(str(self._number), text, 1, 1, 0, 0.0, 0.0, 0.0, (0.0,), 0.0, "stop")
        self._grading.submit(Asked(self._domain, FORMULA, done))

    def _on_grade(self, _asked: Asked, _grade: Grade) -> None:
        self.graded += 1
        self._busy.wait()  # of the worker's own thread
        self._submit()

    def begin(self) -> None:
        self._busy.set()

    def end(self) -> None:
        self._busy.clear()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--pairs", type=int, default=8)
    parser.add_argument("--threads", type=int, help="of the engine; all cores if not given")
    options = parser.parse_args()
    model = resolve_model(ModelConfig("tiny-reasoner", dtype="bfloat16"))
    context = EngineContext(model, ArmPlugins({}), Sampling(), CONCURRENCY)
    with (
        closing(Feeder()) as feeder,
        closing(LocalEngine(threads=options.threads).open(context)) as session,
    ):
        speed(session)  # warms up
        found, before = [], feeder.graded
        for number in range(options.pairs):
            quiet, busy = 0.0, 0.0
            for beside in (number % 2 == 0, number % 2 == 1):
                if beside:
                    feeder.begin()
                    busy = speed(session)
                    feeder.end()
                else:
                    quiet = speed(session)
            found.append((busy, quiet))
        print_ratios("throughput with busy workers / with idle ones", found)
        print(f"graded meanwhile: {feeder.graded - before} answers")


def speed(session: Session) -> float:
    """Output tokens per second of one load."""
    problems = Arithmetic(limit=REQUESTS).problems()
    requests = tuple(Request(p.id, replace(p), 0, 0) for p in problems)
    done: list[Completion] = []
    began = time.perf_counter()
    session.run(Load(requests, CONCURRENCY), done.append, lambda _: None)
    return sum(c.output_tokens for c in done) / (time.perf_counter() - began)


if __name__ == "__main__":
    main()
