"""Checks of a metric: asked of trials of every shape, among them ones with nothing in them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from math import isfinite
from typing import get_args

from ablate.metrics import Better
from ablate.testing.findings import Finding, guarded, judged, said
from ablate.trial_metric import TrialMetric
from ablate.types import Completion, Outcome, Record, Trial, TrialResult, Usage


def examine(metric: TrialMetric) -> list[Finding]:
    """What ``check_metric`` looks at, good and bad."""
    return [
        *_look(
            "definition",
            lambda: _definition(metric),
            "it says what it is, in which unit, and which way is better",
        ),
        *_look(
            "numbers",
            lambda: _numbers(metric),
            "a finite number or None of every trial, the same when asked again",
        ),
        *_look("records", lambda: _records(metric), "the order of the records does not matter"),
    ]


def _look(check: str, problems: Callable[[], Iterator[str]], fine: str) -> list[Finding]:
    return guarded(check, lambda: judged(check, problems(), fine))


def _definition(metric: TrialMetric) -> Iterator[str]:
    if not isinstance(metric, TrialMetric):
        yield f"must derive from ablate.trial_metric.TrialMetric, and is a {type(metric).__name__}"
        return
    if not (inspect.getdoc(type(metric)) or "").strip() or "__doc__" not in vars(type(metric)):
        yield "needs a docstring: its first line stands under the table as the definition"
    if metric.better not in get_args(Better):
        yield f"better must be one of {', '.join(get_args(Better))}, not {metric.better!r}"
    if fields(metric):
        yield "has fields, which nobody can set: recipes do not name metrics"


def _numbers(metric: TrialMetric) -> Iterator[str]:
    for what, trial in trials().items():
        try:
            value, again = metric.measure(trial), metric.measure(trial)
        except Exception as error:
            yield f"raised {said(error)} of {what}; return None where there is no number"
            continue
        if value != again:
            yield f"gave {value} and then {again} of {what}; it must depend on the trial alone"
        elif value is not None and (isinstance(value, bool) or not isfinite(value)):
            yield f"gave {value!r} of {what}; return a finite number, or None where there is none"


def _records(metric: TrialMetric) -> Iterator[str]:
    trial = trials()["an ordinary trial"]
    turned = replace(trial, records=trial.records[::-1])
    value, other = metric.measure(trial), metric.measure(turned)
    if (value is None) != (other is None) or abs((value or 0) - (other or 0)) > 1e-9:
        yield f"gave {value}, and {other} of the same records in reverse; they come in any order"


def trials() -> dict[str, Trial]:
    """Trials by what is special about them."""
    answers: tuple[tuple[str, Outcome, int], ...] = (
        ("a", "correct", 5),
        ("b", "wrong", 1),
        ("c", "correct", 9),
    )
    good = Trial(
        TrialResult("baseline", 0, "ok", running_time=4.0, counters={"num_steps": 9.0}),
        tuple(_record(*answer, arrival) for arrival, answer in enumerate(answers)),
        (Usage(0.0, 1, 2, 64, 640, 1024, 4096), Usage(4.0, 0, 0, 0, 0, 1024, 4096)),
    )
    wrong = tuple(replace(r, outcome="unparsed", parsed=None) for r in good.records)
    bare = replace(_record("d", "truncated", 0, 0), parsed=None)
    return {
        "an ordinary trial": good,
        "a trial without a right answer": replace(good, records=wrong),
        "a trial of one empty answer": replace(good, records=(bare,)),
        "a trial without records": replace(good, records=()),
        "a trial of which the engine says nothing": Trial(
            TrialResult("baseline", 0, "ok"), good.records, ()
        ),
    }


def _record(name: str, outcome: Outcome, tokens: int, arrival: float) -> Record:
    times = tuple(arrival + 0.1 * (i + 1) for i in range(tokens))
    done = Completion(
        request_id=f"count/{name}#0",
        text="7",
        prompt_tokens=12,
        output_tokens=tokens,
        thinking_tokens=tokens // 2,
        arrival=arrival,
        dispatched=arrival,
        finished=times[-1] if times else arrival,
        token_times=times,
        first_visible=times[tokens // 2] if times else None,
        finish_reason="stop" if tokens else "length",
    )
    return Record(done, "count", name, 0, None, outcome, "7", "7")
