"""The grader: right answers, wrong ones, none at all, and what nobody should write."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace

from ablate.domains.base import Domain
from ablate.running.grading import Asked, Worker
from ablate.testing.findings import Finding, bad, good, judged, said
from ablate.types import Completion, FinishReason, Grade, Problem

Grader = Callable[[Problem, str, FinishReason], Grade]
Form = Callable[[Problem, str], str]

ASKED = 12
LONG = 1 << 20
SLOWEST = 5.0  # s for a text of a million characters; a trial waits as long
FORMS: Sequence[Form] = (
    lambda _, reference: reference,
    lambda _, reference: f"The answer is \\boxed{{{reference}}}.",
    lambda _, reference: f"<answer>{reference}</answer>",
    lambda _, reference: f"The answer is {reference}",
    lambda _, reference: f"The answer is ({reference}).",
    lambda _, reference: f"#### {reference}",
    lambda _, reference: f"```python\n{reference}\n```",
)
THINKING = "<think>\nLet me think about this, step"
MONSTERS = {
    "endless digits": "9" * LONG,
    "endless brackets": "and \\boxed{({[" * (LONG // 14),
    "endless blanks and lines": " \n" * (LONG // 2),
    "endless thoughts": "<think>" * (LONG // 7),
    "odd characters": "\x00\ud800\u2028\N{FULLWIDTH DIGIT ONE}\u0661 \N{SUPERSCRIPT TWO}",
}


def answers(domain: Domain, answer: Callable[[Problem], str] | None) -> Iterator[Finding]:
    """Right answers are correct and wrong ones are not."""
    problems = tuple(replace(domain, limit=ASKED).problems())
    form = _form(domain, problems, answer)
    if form is None:
        yield bad(
            "answers",
            f"the grader should accept its own references, and accepts {problems[0].reference!r} "
            f"of {problems[0].id!r} in none of the usual forms; pass check_domain(domain, "
            "answer=…), a function that writes a right answer as a model would",
        )
        return
    rejected = [p for p in problems if not _right(domain, p, form(p, p.reference))]
    yield from judged(
        "answers",
        [_words(domain, p, form(p, p.reference), "correct") for p in rejected],
        f"{len(problems)} right ones are correct",
    )
    yield from judged(
        "wrong answers", list(_accepted(domain, problems, form)), "changed ones are not correct"
    )
    yield from judged("solutions", list(_solutions(domain)), "worked solutions are correct")


def _form(
    domain: Domain, problems: Sequence[Problem], answer: Callable[[Problem], str] | None
) -> Form | None:
    """How an answer is written so that the grader reads it."""
    if answer is not None:
        return lambda p, reference: answer(replace(p, reference=reference))
    worked = [p for p in problems if p.solution and p.reference in p.solution]
    forms: Sequence[Form] = (*FORMS, *([_in_solution] if len(worked) == len(problems) else []))
    tried = [
        (sum(_right(domain, p, form(p, p.reference)) for p in problems), form) for form in forms
    ]
    most, form = max(tried, key=lambda pair: pair[0])
    return form if most else None


def _in_solution(problem: Problem, reference: str) -> str:
    """The worked solution with another answer in the place of the last one."""
    before, _, after = (problem.solution or "").rpartition(problem.reference)
    return f"{before}{reference}{after}"


def _right(domain: Domain, problem: Problem, text: str) -> bool:
    return domain.grade(problem, text, "stop").outcome == "correct"


def _words(domain: Domain, problem: Problem, text: str, wanted: str) -> str:
    grade = domain.grade(problem, text, "stop")
    return (
        f"{problem.id}: {text[-80:]!r} should be {wanted} (reference {problem.reference[:80]!r}), "
        f"and is {grade.outcome}, read as {grade.parsed!r}"
    )


def _accepted(domain: Domain, problems: Sequence[Problem], form: Form) -> Iterator[str]:
    for problem in problems:
        for other in _others(problem, problems):
            text = form(problem, other)
            if text != form(problem, problem.reference) and _right(domain, problem, text):
                yield _words(domain, problem, text, "wrong")
                break


def _others(problem: Problem, problems: Sequence[Problem]) -> Iterator[str]:
    """Answers of the same kind that are not the reference."""
    reference = problem.reference
    if re.fullmatch(r"-?\d{1,300}", reference):
        yield str(int(reference) + 1)
    known = {p.reference.strip().lower(): p.reference for p in problems}
    yield from (r for key, r in known.items() if key != reference.strip().lower())


def _solutions(domain: Domain) -> Iterator[str]:
    worked = [*replace(domain, limit=ASKED).problems(), *domain.training(ASKED, 0)]
    for problem in worked:
        if problem.solution is not None and not _right(domain, problem, problem.solution):
            yield _words(domain, problem, problem.solution, "correct")


def other_texts(domain: Domain) -> Iterator[Finding]:
    """Text without an answer, and text that no grader expects."""
    problem = replace(domain, limit=1).problems()[0]
    expected: list[tuple[str, FinishReason, str]] = [
        ("", "stop", "unparsed"),
        ("", "length", "truncated"),
        (THINKING, "length", "truncated"),
    ]
    problems = []
    for text, reason, outcome in expected:
        seen = domain.grade(problem, text, reason).outcome
        if seen != outcome:
            what = f"{text[:20]!r}, ended by {reason!r},"
            problems.append(f"{what} should be graded {outcome!r}, and is {seen!r}")
    yield from judged("no answer", problems, "is unparsed, or truncated where it was cut off")
    grade = _beside if domain.slow else _here
    yield from grade(domain, problem)


def _here(domain: Domain, problem: Problem) -> Iterator[Finding]:
    for name, text in MONSTERS.items():
        began = time.perf_counter()
        try:
            domain.grade(problem, text, "length")
        except Exception as error:  # a grader can fail in any way
            yield bad(name, f"should be graded, and raised {said(error)}")
            continue
        seconds = time.perf_counter() - began
        if seconds > SLOWEST:
            yield bad(name, f"took {seconds:.0f} s to grade; say slow = True, or read only the end")
        else:
            yield good(name, "graded")


def _beside(domain: Domain, problem: Problem) -> Iterator[Finding]:
    """As a trial grades what is slow: in a process that may be ended."""
    with closing(Worker()) as worker:
        for name, text in MONSTERS.items():
            done = Completion("0", text, 0, 0, 0, 0.0, 0.0, 0.0, (), None, "length")
            given = worker.answer(Asked(domain, problem, done), "usual")
            if isinstance(given, str):
                yield bad(name, f"should be graded, and raised {given}")
            else:
                yield good(
                    name, "graded" if isinstance(given, Grade) else "out of time, as allowed"
                )
