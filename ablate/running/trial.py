"""One trial, inside its own process: open the engine, warm up, measure, prove, write."""

from __future__ import annotations

import gc
import os
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from itertools import islice, zip_longest
from threading import Lock
from types import TracebackType
from typing import Self

from ablate.domains.base import Domain
from ablate.engines.base import EngineContext, Session
from ablate.errors import AblateError, TrialError, says_out_of_memory
from ablate.models import resolve_model
from ablate.planning import Arm
from ablate.plugins import ArmPlugins
from ablate.running.energy import Meter, open_meter
from ablate.running.grading import Asked, Grading
from ablate.running.search import Served, fastest, planned_rate, serve_at
from ablate.store import COMPLETIONS, RECORDS, USAGE, LineWriter, TrialDir
from ablate.types import (
    Completion,
    Evidence,
    Grade,
    Load,
    Problem,
    Record,
    Request,
    TrialResult,
    Usage,
)
from ablate.workload import build_load

WARMUP_TOKENS = 512


@dataclass(frozen=True)
class Progress:
    """What a trial tells the process that started it. ``seconds`` count from measuring."""

    phase: str
    requests: int = 0
    tokens: int = 0
    seconds: float = 0.0


def run_trial(
    arm: Arm, block: int, directory: TrialDir, report: Callable[[Progress], None]
) -> TrialResult:
    """Run what is missing of a trial and write its result; failures become results, too."""
    load = build_load(arm, block)
    ungraded = directory.ungraded()
    done = {r.completion.request_id for r in directory.records()}
    done |= {completion.request_id for completion in ungraded}
    missing = replace(load, requests=tuple(r for r in load.requests if r.id not in done))
    blank = TrialResult(arm.info.id, block, "failed", resumed=bool(done))
    try:
        with _Writer(arm, load, directory, report) as writer:
            for completion in ungraded:
                writer.grade(completion)
            result = _measure(arm, missing, directory, writer, blank)
    except TrialError as error:
        result = replace(blank, kind=error.kind, message=str(error))
    except AblateError as error:
        result = replace(blank, kind="error", message=str(error))
    except Exception as error:  # a plugin or the model may raise anything; other arms go on
        traceback.print_exc()  # into the trial's log
        memory = isinstance(error, MemoryError) or says_out_of_memory(str(error))
        kind = "out_of_memory" if memory else "error"
        result = replace(blank, kind=kind, message=f"{type(error).__name__}: {error}")
    directory.write_result(result)
    return result


def _measure(
    arm: Arm,
    load: Load,
    directory: TrialDir,
    writer: _Writer,
    blank: TrialResult,
) -> TrialResult:
    writer.says("loading")
    plugins = ArmPlugins(arm.plugins)
    with ExitStack() as stack:
        meter = stack.enter_context(open_meter())
        began = time.perf_counter()
        opened = arm.engine.open(_context(arm, plugins, load, directory))
        session = stack.enter_context(closing(opened))
        load_seconds = time.perf_counter() - began
        writer.says("warming up")
        _warm_up(session, arm, load)
        plugins.evidence(session.evidence_state("warmup"))
        gc.collect()
        gc.freeze()  # what is loaded stays: collections during measuring need not look at it
        load_average = os.getloadavg()[0]
        search = None if blank.resumed else arm.arrival.attained  # it counts for accuracy only
        counters, cpu, energy = _serve(session, load, writer, meter, arm.recipe.slo, search)
        writer.finish()
        evidence: tuple[Evidence, ...] = ()
        if load.requests:
            evidence = plugins.evidence(session.evidence_state("measured"))
        return replace(
            blank,
            status="ok",
            running_time=writer.last_finished,
            load_seconds=load_seconds,
            weight_bytes=session.weight_bytes,
            peak_rss_bytes=session.peak_rss_bytes,
            cpu_seconds=cpu,
            load_average=load_average,
            grading_given_up=writer.given_up,
            evidence=evidence,
            counters=counters,
            info={**session.info, **({"energy": meter.note} if meter.note else {})},
            energy=energy if cpu is not None else {},  # a server elsewhere: not this machine's
        )


def _serve(
    session: Session,
    load: Load,
    writer: _Writer,
    meter: Meter,
    slo: Mapping[str, float],
    attainment: float | None,
) -> tuple[dict[str, float], float | None, Mapping[str, float]]:
    """Serve the load, as fast as it is planned, or as ``attainment`` of it keeps the ``slo``.

    Its counters, CPU seconds and energy. A search has no energy: the meter does not tell the rate
    that was found from those tried.
    """
    if not load.requests:
        return {}, None, {}
    if attainment is None:
        before = session.cpu_seconds
        meter.begin()
        counters = session.run(load, writer.completed, writer.sampled)
        energy = meter.end()
        return dict(counters), session.cpu_since(before), energy

    def serve(speed: float) -> Served:
        writer.says(f"searching at {speed:.3g} times the rate")
        return serve_at(session, load, speed, slo)

    planned = planned_rate(load)
    found = fastest(serve, attainment)
    for completion in found.completions:
        writer.completed(completion)
    for usage in found.usage:
        writer.sampled(usage)
    counted = {**found.counters, "max_request_rate": planned * found.speed}
    return counted, found.cpu, {}


def _context(arm: Arm, plugins: ArmPlugins, load: Load, directory: TrialDir) -> EngineContext:
    model = replace(resolve_model(arm.recipe.model, on_host=False), calibration=_calibration(arm))
    concurrency = load.concurrency or len(load.requests)
    return EngineContext(model, plugins, arm.recipe.sampling, max(concurrency, 1), directory.path)


def _calibration(arm: Arm) -> Callable[[int, int], Sequence[tuple[str, str]]]:
    """Worked examples from the training splits, the domains taking turns."""

    def examples(n: int, seed: int) -> list[tuple[str, str]]:
        return [(p.prompt, p.solution) for p in _training(arm, n, seed) if p.solution]

    return examples


def _training(arm: Arm, n: int, seed: int) -> list[Problem]:
    splits = [domain.training(n, seed) for domain in arm.domains.values()]
    turns = (p for turn in zip_longest(*splits) for p in turn if p is not None)
    return list(islice(turns, n))


def _warm_up(session: Session, arm: Arm, load: Load) -> None:
    """Serve a few training problems: never test problems, which a prefix cache would remember."""
    n = arm.recipe.warmup
    problems = _training(arm, n, arm.recipe.seed) or [
        Problem(str(i), "warmup", f"Question {i}: what is {i} + {i}?", "") for i in range(n)
    ]
    if not n:
        return
    most = _warmup_tokens(arm, load)
    requests = tuple(
        Request(f"warmup/{i}", replace(p, max_tokens=most), 0, seed=i)
        for i, p in enumerate(problems)
    )
    session.run(replace(load, requests=requests), lambda _: None, lambda _: None)


def _warmup_tokens(arm: Arm, load: Load) -> int:
    """A long answer warms up no more than a short one; none may be longer than those to come."""
    sampling = arm.recipe.sampling
    limits = [sampling.limit(request.problem) for request in load.requests]
    return min([WARMUP_TOKENS, *limits])


class _Writer:
    """Has completions graded and appends them, and tells how far the trial is.

    As a context manager it ends what grades; ``finish`` waits for the last grade first.
    """

    INTERVAL = 0.5  # s between messages: the process that reads them shares our cores

    def __init__(
        self, arm: Arm, load: Load, directory: TrialDir, report: Callable[[Progress], None]
    ) -> None:
        self._domains = arm.domains
        self._requests = {r.id: r for r in load.requests}
        self._records = LineWriter(directory.path / RECORDS)
        self._recording = Lock()  # grades come from threads
        self._served = LineWriter(directory.path / COMPLETIONS)
        self._usage = LineWriter(directory.path / USAGE)
        self._report = report
        self._progress = Progress("measuring")
        self._next_report = 0.0
        self._grading = Grading(arm.domains, self._record)
        self.last_finished = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self._grading.close()
        for file in (self._records, self._served, self._usage):
            file.close()

    @property
    def given_up(self) -> int:
        """Answers that could not be graded in time."""
        return self._grading.given_up

    def says(self, phase: str) -> None:
        self._report(Progress(phase))

    def completed(self, completion: Completion) -> None:
        if self._domain(completion).slow:
            self._served.write(completion)
        self.grade(completion)
        self.last_finished = max(self.last_finished, completion.finished)
        self._progress = replace(
            self._progress,
            requests=self._progress.requests + 1,
            tokens=self._progress.tokens + completion.output_tokens,
            seconds=completion.finished,
        )
        if completion.finished >= self._next_report:
            self._next_report = completion.finished + self.INTERVAL
            self._report(self._progress)

    def grade(self, completion: Completion) -> None:
        """At once, or beside the trial where that takes long."""
        asked = Asked(self._domain(completion), self._problem(completion), completion)
        if asked.domain.slow:
            self._grading.submit(asked)
        else:
            self._record(asked, asked.grade())

    def _problem(self, completion: Completion) -> Problem:
        return self._requests[completion.request_id].problem

    def _domain(self, completion: Completion) -> Domain:
        return self._domains[self._problem(completion).domain]

    def _record(self, asked: Asked, grade: Grade) -> None:
        problem = asked.problem
        record = Record(
            completion=asked.completion,
            domain=problem.domain,
            problem_id=problem.id,
            sample=self._requests[asked.completion.request_id].sample,
            difficulty=problem.difficulty,
            outcome=grade.outcome,
            parsed=grade.parsed,
            reference=problem.reference,
        )
        with self._recording:
            self._records.write(record)

    def sampled(self, usage: Usage) -> None:
        self._usage.write(usage)

    def finish(self) -> None:
        """Wait for the last grade. Raises TrialError if a grader failed."""
        self._report(replace(self._progress, phase="grading"))
        self._grading.finish()
        self._report(self._progress)
