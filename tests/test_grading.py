"""Answers graded by processes of their own, which can hang, die and be kept from running."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import ClassVar

import psutil
import pytest

from ablate.domains.base import Domain
from ablate.errors import TrialError
from ablate.running.grading import Asked, Grading
from ablate.types import Completion, FinishReason, Grade, Problem


def sleep(_: str) -> Grade:
    time.sleep(60)
    return Grade("correct")


def hang(_: str) -> Grade:
    while True:
        pass


def late(_: str) -> Grade:
    """In time only where nothing else comes first."""
    if os.sched_getscheduler(0) == os.SCHED_IDLE:
        raise TimeoutError
    return Grade("correct", "in time")


def die(_: str) -> Grade:
    os._exit(3)


def be_killed(_: str) -> Grade:
    os.kill(os.getpid(), signal.SIGKILL)
    return Grade("correct")


def eat(_: str) -> Grade:
    return Grade("correct", str(len(bytearray(9 << 30))))


def deny(text: str) -> Grade:
    raise ValueError(f"cannot grade {text}")


WHAT: dict[str, Callable[[str], Grade]] = {
    f.__name__: f for f in (sleep, hang, late, die, be_killed, eat, deny)
}


@dataclass(frozen=True)
class Slow(Domain):
    """Grades as the answer tells it to."""

    slow: ClassVar[bool] = True
    grading_timeout: ClassVar[float] = 0.5

    def problems(self) -> Sequence[Problem]:
        return ()

    def extract(self, visible: str) -> str | None:
        return visible

    def grade(self, problem: Problem, text: str, finish_reason: FinishReason) -> Grade:
        if text in WHAT:
            return WHAT[text](text)
        return Grade("correct" if text == problem.reference else "wrong", str(os.getpid()))


def answer(number: int, text: str) -> Asked:
    problem = Problem(str(number), "slow", "?", "right")
    done = Completion(str(number), text, 1, 1, 0, 0.0, 0.0, 0.0, (0.0,), None, "stop")
    return Asked(Slow(), problem, done)


@contextmanager
def grading() -> Iterator[tuple[Grading, dict[str, Grade]]]:
    grades: dict[str, Grade] = {}

    def note(asked: Asked, grade: Grade) -> None:
        grades[asked.completion.request_id] = grade

    with closing(Grading({"slow": Slow()}, note)) as made:
        yield made, grades


def graded(*texts: str) -> tuple[list[Grade], int]:
    with grading() as (made, grades):
        for number, text in enumerate(texts):
            made.submit(answer(number, text))
        made.finish()
        return [grades[str(i)] for i in range(len(texts))], made.given_up


def test_answers_are_graded_side_by_side_and_elsewhere() -> None:
    grades, given_up = graded(*["right", "wrong"] * 50)
    assert [g.outcome for g in grades] == ["correct", "wrong"] * 50
    assert str(os.getpid()) not in {g.parsed for g in grades}
    assert given_up == 0


def test_what_takes_too_long_takes_nobody_with_it() -> None:
    grades, given_up = graded("right", "hang", "sleep", "right", "late", "wrong", "right")
    outcomes = [g.outcome for g in grades]
    assert outcomes == ["correct", "unparsed", "unparsed", "correct", "correct", "wrong", "correct"]
    assert grades[4].parsed == "in time"
    assert given_up == 2


def test_what_ends_its_process_takes_nobody_with_it() -> None:
    grades, given_up = graded("die", "be_killed", "eat", "right", "right")
    assert [g.outcome for g in grades] == [*["unparsed"] * 3, "correct", "correct"]
    assert given_up == 3


def test_a_grader_that_fails_is_reported_and_not_counted() -> None:
    with pytest.raises(TrialError, match=r"grading '1' failed: ValueError: cannot grade deny"):
        graded("right", "deny", "right")


def test_nothing_is_left_when_a_trial_is_given_up() -> None:
    before = set(psutil.Process().children(recursive=True))
    with grading() as (made, _):
        for number in range(8):
            made.submit(answer(number, "sleep"))
        until = time.monotonic() + 10
        while not set(psutil.Process().children(recursive=True)) - before:
            assert time.monotonic() < until
            time.sleep(0.05)
    assert not [p for p in psutil.Process().children(recursive=True) if p not in before]


def test_quick_domains_start_no_process() -> None:
    before = psutil.Process().children(recursive=True)
    with closing(Grading({}, lambda *_: None)) as made:
        made.finish()
        assert psutil.Process().children(recursive=True) == before
