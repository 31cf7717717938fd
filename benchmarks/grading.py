"""What grading costs: 1,000 numeric and 1,000 symbolic answers, one after the other and by workers.

``python -m benchmarks.grading [--data FOLDER]``: golds of ``FOLDER/math500/test.jsonl``, right and
perturbed; without it formulas made up here. Every answer of a kind is another one. Wall seconds and
CPU seconds; on a machine with other work the first of the two says little.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from random import Random

from ablate.domains.base import Domain
from ablate.running.grading import Asked, Grading
from ablate.types import Completion, Grade, Problem
from ablate_datasets.gsm8k import Gsm8k
from ablate_datasets.math500 import Math500

ANSWERS = 1_000
SHAPES = ("\\frac{%s}{%s}", "\\sqrt{%s} + %s", "(%s, %s)", "[%s, %s)", "%sx^2 - %s", "%s\\pi/%s")
PROSE = "We work step by step. First $x = 2$, then $y = 3$. " * 20


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--data", type=Path, help="folder with math500/test.jsonl")
    options = parser.parse_args()
    load = os.getloadavg()[0]
    print(f"{os.cpu_count()} cores, load average {load:.1f} before, {sys.version.split()[0]}")
    print("| answers | n | graded by | wall s | CPU s | ms each | outcomes |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    formulas = golds(options.data) if options.data else made_up()
    for name, domain, asked in (
        ("numeric", Gsm8k(), numbers()),
        ("symbolic", Math500(), symbolic(formulas)),
    ):
        alone(name, domain, asked)
    by_workers("symbolic", Math500(), symbolic(formulas))


def golds(data: Path) -> list[str]:
    lines = (data / "math500/test.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["answer"] for line in lines]


def made_up() -> list[str]:
    rng = Random(0)
    return [rng.choice(SHAPES) % (rng.randint(2, 99), rng.randint(2, 99)) for _ in range(500)]


def numbers() -> list[tuple[Problem, str]]:
    rng = Random(0)
    values = [rng.randint(-(10**6), 10**6) for _ in range(ANSWERS)]
    return [
        (_problem(i, str(n)), f"{PROSE}So it is \\boxed{{{n + i % 2:,} \\text{{ dollars}}}}.")
        for i, n in enumerate(values)
    ]


def symbolic(formulas: Sequence[str]) -> list[tuple[Problem, str]]:
    """Each formula as it is, and with something added."""
    right = [(gold, gold) for gold in formulas]
    wrong = [(gold, f"{gold} + {2 + i}") for i, gold in enumerate(formulas)]
    asked = [*right, *wrong][:ANSWERS]
    return [
        (_problem(i, gold), f"{PROSE}So it is \\boxed{{{answer}}}.")
        for i, (gold, answer) in enumerate(asked)
    ]


def _problem(index: int, reference: str) -> Problem:
    return Problem(id=f"made-{index}", domain="made", prompt="?", reference=reference)


def alone(name: str, domain: Domain, asked: Sequence[tuple[Problem, str]]) -> None:
    domain.grade(*asked[0], "stop")  # imports what it needs
    wall, cpu = time.monotonic(), time.process_time()
    outcomes = Counter(_grade(domain, problem, text) for problem, text in asked)
    show(name, "this process", outcomes, time.monotonic() - wall, time.process_time() - cpu)


def _grade(domain: Domain, problem: Problem, text: str) -> str:
    try:
        return domain.grade(problem, text, "stop").outcome
    except TimeoutError:
        return "out of time"


def by_workers(name: str, domain: Domain, asked: Sequence[tuple[Problem, str]]) -> None:
    """As a run grades when everything is served; starting the workers is part of it."""
    outcomes: Counter[str] = Counter()
    lock = threading.Lock()

    def count(_: Asked, grade: Grade) -> None:
        with lock:
            outcomes[grade.outcome] += 1

    wall, cpu = time.monotonic(), os.times()
    grading = Grading({"made": domain}, count)
    try:
        for problem, text in asked:
            grading.submit(Asked(domain, problem, _completion(problem, text)))
        grading.finish()
    finally:
        grading.close()
    after = os.times()
    spent = after.children_user + after.children_system - cpu.children_user - cpu.children_system
    show(name, "workers", outcomes, time.monotonic() - wall, spent)


def _completion(problem: Problem, text: str) -> Completion:
    return Completion(problem.id, text, 1, 1, 0, 0.0, 0.0, 0.0, (0.0,), 0.0, "stop")


def show(name: str, by: str, outcomes: Counter[str], wall: float, cpu: float) -> None:
    n = outcomes.total()
    said = ", ".join(f"{count} {outcome}" for outcome, count in outcomes.most_common())
    each = 1000 * cpu / n
    print(f"| {name} | {n} | {by} | {wall:.2f} | {cpu:.2f} | {each:.2f} | {said} |", flush=True)


if __name__ == "__main__":
    main()
