"""A trial as columns: what the estimates need of each answer, without its text.

A run may have a million answers. They are reduced trial by trial, so that a report holds a few
dozen bytes of each. Every (domain, problem, sample) of the run has a number, its *key*.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from ablate.metrics import Stragglers, Values, stragglers, tail_of
from ablate.report.added import NONE, Added, measure_with
from ablate.stats import Floats, Ints, Key
from ablate.types import Outcome, Trial, TrialResult

OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)
_CODES = {outcome: code for code, outcome in enumerate(OUTCOMES)}


class Keys:
    """The numbers of keys, of problems and of what was read as their answers."""

    def __init__(self) -> None:
        self.numbers: dict[Key, int] = {}
        self._texts: dict[str | None, int] = {None: -1}

    def number(self, key: Key) -> int:
        return self.numbers.setdefault(key, len(self.numbers))

    def text(self, parsed: str | None) -> int:
        """A number for a read answer, -1 for none."""
        return self._texts.setdefault(parsed, len(self._texts))

    @cached_property
    def names(self) -> tuple[Key, ...]:
        """The keys by number. Asked for only when every trial has been reduced."""
        return tuple(self.numbers)

    @cached_property
    def problem(self) -> Ints:
        """The problem's number of each key: [keys]."""
        found: dict[tuple[str, str], int] = {}
        return np.array([found.setdefault(k[:2], len(found)) for k in self.names], dtype=np.int_)

    @cached_property
    def _domains(self) -> dict[str, NDArray[np.bool_]]:
        of_key = np.array([k[0] for k in self.names], dtype=object)
        return {d: of_key == d for d in dict.fromkeys(k[0] for k in self.names)}

    def within(self, domain: str | None) -> NDArray[np.bool_]:
        """Which keys belong to a domain, or all of them: [keys]."""
        size = len(self.names)
        if domain is None:
            return np.ones(size, dtype=np.bool_)
        return self._domains.get(domain, np.zeros(size, dtype=np.bool_))


@dataclass(frozen=True, eq=False)
class TrialData:
    """One trial. Columns have one entry an answer; times are seconds, NaN where there is none.

    ``ttft`` counts from the arrival, ``decode`` from the first token to the end, ``service`` from
    the dispatch to the end.
    """

    result: TrialResult
    answers: int
    hidden: int
    metrics: Values
    domains: Mapping[str, Values]
    key: Ints
    outcome: NDArray[np.int8]
    read: Ints
    tokens: Ints
    arrival: Floats
    e2e: Floats
    ttft: Floats
    decode: Floats
    service: Floats
    difficulty: Floats
    stragglers: Stragglers

    @property
    def correct(self) -> NDArray[np.bool_]:
        right: NDArray[np.bool_] = self.outcome == _CODES["correct"]
        return right

    def columns(self, name: str, keys: Keys) -> Floats:
        """A column spread over the run's keys, NaN where the trial has none: [keys]."""
        spread = np.full(len(keys.names), np.nan)
        spread[self.key] = getattr(self, name)
        return spread

    def of(self, domain: str | None, keys: Keys) -> NDArray[np.bool_]:
        """Which answers belong to a domain, or all: [answers]."""
        here: NDArray[np.bool_] = keys.within(domain)[self.key]
        return here


def reduce(trial: Trial, keys: Keys, added: Added = NONE, price: float | None = None) -> TrialData:
    """The columns and metrics of one trial; a failed one has none. ``price``: of an hour."""
    good = trial.result.status == "ok"
    records = trial.records if good else ()
    done = [r.completion for r in records]
    first = [c.token_times[0] if c.token_times else None for c in done]
    metrics, domains = measure_with(trial, added, price)
    return TrialData(
        result=trial.result,
        answers=len(trial.records),
        hidden=sum(c.first_visible is None for c in done),
        metrics=metrics,
        domains=domains,
        key=_ints(keys.number((r.domain, r.problem_id, r.sample)) for r in records),
        outcome=np.fromiter((_CODES[r.outcome] for r in records), dtype=np.int8),
        read=_ints(keys.text(r.parsed) for r in records),
        tokens=_ints(c.output_tokens for c in done),
        arrival=_floats(c.arrival for c in done),
        e2e=_floats(c.finished - c.arrival for c in done),
        ttft=_floats(
            t - c.arrival if t is not None else None for t, c in zip(first, done, strict=True)
        ),
        decode=_floats(
            c.finished - t if t is not None else None for t, c in zip(first, done, strict=True)
        ),
        service=_floats(c.finished - c.dispatched for c in done),
        difficulty=_floats(r.difficulty for r in records),
        stragglers=Stragglers() if trial.result.resumed else stragglers(records, tail_of(records)),
    )


def _ints(values: Iterable[int]) -> Ints:
    return np.fromiter(values, dtype=np.int_)


def _floats(values: Iterable[Any]) -> Floats:
    return np.array(list(values), dtype=np.float64)  # None becomes NaN
