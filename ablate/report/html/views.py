"""What the page shows of an arm, as columns: a run's texts and token times are not kept."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ablate.metrics import latency
from ablate.report.html.palette import Style, styles
from ablate.types import ArmInfo, Record, RunInfo, Trial, Usage

Floats = NDArray[np.float64]
Key = tuple[str, str, int]
LATENCIES = ("ttft", "ttfvt", "tpot", "e2el")
MOST_ANSWERS = 5_000
"""Answers of one trial whose texts are held, to find flips among them."""


@dataclass(frozen=True, eq=False)
class Requests:
    """One row a request. ``latencies`` are seconds, NaN where there is none; so is ``difficulty``.

    ``timed``: False for requests of a resumed trial, whose times do not count.
    """

    domain: NDArray[np.object_]
    problem: NDArray[np.object_]
    correct: NDArray[np.bool_]
    tokens: Floats
    difficulty: Floats
    timed: NDArray[np.bool_]
    latencies: Mapping[str, Floats]

    def of(self, domain: str | None) -> NDArray[np.bool_]:
        """Which rows belong to a domain, or all of them."""
        if domain is None:
            return np.ones(self.domain.size, dtype=np.bool_)
        here: NDArray[np.bool_] = self.domain == domain
        return here


@dataclass(frozen=True, eq=False)
class Timeline:
    """When the requests of one trial waited, thought and answered: columns in seconds."""

    block: int
    label: tuple[str, ...]
    tokens: Floats
    arrival: Floats
    first: Floats
    visible: Floats
    finished: Floats


@dataclass(frozen=True)
class Answer:
    """One graded text."""

    text: str
    outcome: str
    parsed: str | None
    reference: str
    tokens: int


@dataclass(frozen=True, eq=False)
class ArmView:
    """One arm. Timeline, telemetry and texts are those of its first undisturbed block."""

    info: ArmInfo
    style: Style
    requests: Requests
    timeline: Timeline | None = None
    usage: tuple[Usage, ...] = ()
    answers: Mapping[Key, Answer] | None = None
    answers_block: int = 0
    answers_total: int = 0

    @property
    def id(self) -> str:
        return self.info.id


def collect(info: RunInfo, trials: Iterable[Trial]) -> list[ArmView]:
    """Every arm with answers that count, in the run's order. ``trials`` may be a generator."""
    parts: dict[str, list[Requests]] = {arm.id: [] for arm in info.arms}
    styled = styles(info)
    views = {a.id: ArmView(a, styled[a.id], _columns((), True)) for a in info.arms}
    for trial in trials:
        result = trial.result
        if result.status != "ok" or result.arm not in views:
            continue
        parts[result.arm].append(_columns(trial.records, not result.resumed))
        views[result.arm] = _first(views[result.arm], trial)
    return [
        replace(view, requests=_joined(parts[arm]))
        for arm, view in views.items()
        if any(part.domain.size for part in parts[arm])
    ]


def _first(view: ArmView, trial: Trial) -> ArmView:
    """The view with what only the first suitable block gives."""
    found: dict[str, Any] = {}
    if view.answers is None and trial.records:
        kept = trial.records[:MOST_ANSWERS]
        found["answers"] = {(r.domain, r.problem_id, r.sample): _answer(r) for r in kept}
        found["answers_block"] = trial.result.block
        found["answers_total"] = len(trial.records)
    if view.timeline is None and trial.records and not trial.result.resumed:
        found["timeline"] = _timeline(trial)
        found["usage"] = trial.usage
    return replace(view, **found)


def _answer(record: Record) -> Answer:
    done = record.completion
    return Answer(done.text, record.outcome, record.parsed, record.reference, done.output_tokens)


def _timeline(trial: Trial) -> Timeline:
    records = sorted(trial.records, key=lambda r: r.completion.arrival)
    done = [r.completion for r in records]
    return Timeline(
        block=trial.result.block,
        label=tuple(f"{r.domain}/{r.problem_id}" for r in records),
        tokens=_floats([c.output_tokens for c in done]),
        arrival=_floats([c.arrival for c in done]),
        first=_floats([c.token_times[0] if c.token_times else None for c in done]),
        visible=_floats([c.first_visible for c in done]),
        finished=_floats([c.finished for c in done]),
    )


def _columns(records: Sequence[Record], timed: bool) -> Requests:
    done = [r.completion for r in records]
    return Requests(
        domain=np.array([r.domain for r in records], dtype=object),
        problem=np.array([r.problem_id for r in records], dtype=object),
        correct=np.array([r.correct for r in records], dtype=np.bool_),
        tokens=_floats([c.output_tokens for c in done]),
        difficulty=_floats([r.difficulty for r in records]),
        timed=np.full(len(records), timed),
        latencies={name: _floats([latency(name, c) for c in done]) for name in LATENCIES},
    )


def _joined(parts: Sequence[Requests]) -> Requests:
    if not parts:
        return _columns((), True)
    return Requests(
        domain=np.concatenate([p.domain for p in parts]),
        problem=np.concatenate([p.problem for p in parts]),
        correct=np.concatenate([p.correct for p in parts]),
        tokens=np.concatenate([p.tokens for p in parts]),
        difficulty=np.concatenate([p.difficulty for p in parts]),
        timed=np.concatenate([p.timed for p in parts]),
        latencies={n: np.concatenate([p.latencies[n] for p in parts]) for n in LATENCIES},
    )


def _floats(values: Sequence[float | None]) -> Floats:
    return np.array(values, dtype=np.float64)  # None becomes NaN
