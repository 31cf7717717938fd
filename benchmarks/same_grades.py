"""The same outputs through ablate's graders and lm-evaluation-harness's: do the verdicts agree?

``python -m benchmarks.same_grades --lm-eval PYTHON --data FOLDER``: PYTHON is an interpreter with
``lm-eval[math]``; FOLDER holds ``gsm8k/test.jsonl``, ``gsm8k/train-400.jsonl`` (or another
``train*.jsonl``), ``math500/test.jsonl``, ``aime24/train.jsonl`` and ``aime25/test.jsonl``, or some
of them. All but gsm8k need lm-eval beside ablate, too (its extra ``lm-eval``), and are left out
where it is not. Prompts, stop texts and token limits are compared as well. Exits with 1 if anything
differs.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ablate.domains.base import Domain
from ablate.types import Problem
from ablate_datasets.aime import Aime24, Aime25
from ablate_datasets.gsm8k import Gsm8k
from ablate_datasets.harness import harness_version
from ablate_datasets.math500 import Math500
from benchmarks import harness, outputs

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Case:
    """One way of judging: our domain, and where the harness has the same verdict.

    ``nothing``: what the harness's filter says where it found nothing; None: its filter does not
    separate finding from judging.
    """

    label: str
    domain: Domain
    filter: str
    metric: str
    nothing: str | None = None


@dataclass(frozen=True)
class Task:
    """A task of the harness with the outputs that are judged."""

    name: str
    files: Mapping[str, Path]
    kinds: Mapping[str, Callable[[Sequence[Row], int], str]]
    cases: Sequence[Case]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--lm-eval", default=sys.executable, help="interpreter with lm-eval[math]")
    parser.add_argument("--data", type=Path, required=True, help="folder with the data sets")
    parser.add_argument("--limit", type=int, help="only the first problems of each")
    parser.add_argument("--only", help="only the task with this name")
    options = parser.parse_args()
    differing = 0
    print("| task, verdict | kind of output | n | correct by the harness | agree | differ | late |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for task in tasks(options.data):
        if options.only in (None, task.name.rpartition("/")[2]):
            differing += compare(options.lm_eval, task, options.limit)
    sys.exit(1 if differing else 0)


def tasks(data: Path) -> list[Task]:
    """Those that can be compared with what is here."""
    makers = {"gsm8k": gsm8k}
    if harness_version():
        makers |= {"math500": math500, "aime24": aime24, "aime25": aime25}
    return [make(data / name) for name, make in makers.items() if (data / name).is_dir()]


def gsm8k(folder: Path) -> Task:
    test, train = folder / "test.jsonl", next(iter(sorted(folder.glob("train*.jsonl"))))
    options: dict[str, Any] = {"protocol": "lm_eval", "path": str(test), "train_path": str(train)}
    strict, flexible = Gsm8k(**options, filter="strict"), Gsm8k(**options, filter="flexible")
    cases = [
        Case("gsm8k, strict", strict, "strict-match", "exact_match", "[invalid]"),
        Case("gsm8k, flexible", flexible, "flexible-extract", "exact_match", "[invalid]"),
    ]
    return Task("gsm8k/gsm8k", {"test": test, "train": train}, outputs.WORD_PROBLEMS, cases)


def math500(folder: Path) -> Task:
    test = folder / "test.jsonl"
    options: dict[str, Any] = {"protocol": "lm_eval", "path": str(test)}
    cases = [
        Case("math500, math_verify", Math500(**options), "none", "math_verify"),
        Case("math500, minerva", Math500(**options, filter="minerva"), "none", "exact_match"),
    ]
    return Task("minerva_math/minerva_math500", {"test": test}, outputs.FORMULAS, cases)


def aime24(folder: Path) -> Task:
    file = folder / "train.jsonl"
    case = Case("aime24", Aime24(protocol="lm_eval", path=str(file)), "none", "exact_match")
    return Task("aime/aime24", {"train": file}, outputs.CONTESTS, [case])


def aime25(folder: Path) -> Task:
    file = folder / "test.jsonl"
    case = Case("aime25", Aime25(protocol="lm_eval", path=str(file)), "none", "exact_match")
    return Task("aime/aime25", {"test": file}, outputs.CONTESTS, [case])


def compare(python: str, task: Task, limit: int | None) -> int:
    """Print a task's rows of the table and each verdict that differs; returns how many do."""
    file = next(iter(task.files.values()))
    rows = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    asked = range(len(rows))[:limit]
    texts = {kind: [make(rows, i) for i in asked] for kind, make in task.kinds.items()}
    theirs = harness.ask(python, task.name, task.files, texts, limit)
    differing = 0
    for case in task.cases:
        problems = list(case.domain.problems())[:limit]
        differing += compare_prompts(case, problems, theirs)
        for kind, given in texts.items():
            verdicts = [verdict[case.filter] for verdict in theirs.verdicts[kind]]
            differing += compare_kind(case, kind, list(zip(problems, given, verdicts, strict=True)))
    return differing


def compare_prompts(case: Case, problems: Sequence[Problem], theirs: harness.Answer) -> int:
    """Print how many problems are asked the same way; returns how many are not."""
    until, longest = theirs.generation["until"], theirs.generation.get("max_gen_toks", 256)
    same = sum(
        (problem.prompt, list(problem.stop), problem.max_tokens) == (prompt, until, longest)
        for problem, prompt in zip(problems, theirs.prompts, strict=True)
    )
    differing = len(problems) - same
    print(f"| {case.label} | (prompts) | {len(problems)} | | {same} | {differing} | |", flush=True)
    return differing


def compare_kind(
    case: Case, kind: str, judged: Sequence[tuple[Problem, str, Mapping[str, Any]]]
) -> int:
    counted: Counter[str] = Counter()
    for problem, text, theirs in judged:
        correct = theirs["metrics"][case.metric] == 1.0
        counted["correct"] += correct
        said = says(case, problem, text, theirs)
        counted[said] += 1
        if said == "differ":
            print(f"{case.label}, {problem.id}: harness {theirs}, on {text[-300:]!r}", flush=True)
    print(
        f"| {case.label} | {kind} | {len(judged)} | {counted['correct']} | {counted['agree']} "
        f"| {counted['differ']} | {counted['late']} |",
        flush=True,
    )
    return counted["differ"]


def says(case: Case, problem: Problem, text: str, theirs: Mapping[str, Any]) -> str:
    """Whether ablate's verdict, and what it read, agree with the harness's; or it was late."""
    try:
        ours = case.domain.grade(problem, text, "stop")
    except TimeoutError:  # the harness calls that wrong
        return "late"
    same = (ours.outcome == "correct") == (theirs["metrics"][case.metric] == 1.0)
    if case.nothing is not None:
        found = None if theirs["found"] == case.nothing else theirs["found"]
        same = same and ours.parsed == (found and found[:200])
    return "agree" if same else "differ"


if __name__ == "__main__":
    main()
