"""GPQA, MMLU-Pro and BIG-Bench Hard: prompts and verdicts are those of lm-evaluation-harness.

The environment variable ABLATE_TEST_LM_EVAL names an interpreter that has it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

import pytest

from ablate_datasets.bbh import TASKS, Bbh
from ablate_datasets.dataset import DatasetDomain
from ablate_datasets.gpqa import Gpqa
from ablate_datasets.mmlu_pro import MmluPro

INTERPRETER = os.environ.get("ABLATE_TEST_LM_EVAL")
pytestmark = [
    pytest.mark.extra,
    pytest.mark.skipif(not INTERPRETER, reason="ABLATE_TEST_LM_EVAL names no interpreter"),
]

# Runs tasks on rows and outputs of ours, and prints what was asked and how it was judged.
RUN = """
import json, sys
from lm_eval import simple_evaluate
from lm_eval.api.model import LM

asked = json.load(open(sys.argv[1]))

class Told(LM):
    def generate_until(self, requests):
        return [asked[r.task_name]["outputs"][r.doc_id] for r in requests]
    def loglikelihood(self, requests): raise NotImplementedError
    def loglikelihood_rolling(self, requests): raise NotImplementedError

tasks = [
    {"task": name, "dataset_path": "json", "dataset_name": None,
     "dataset_kwargs": {"data_files": one["files"]}}
    for name, one in asked.items()
]
group = {"group": "made_up", "task": tasks}
found = simple_evaluate(model=Told(), tasks=[group], log_samples=True, bootstrap_iters=0)
told = {
    name: [
        {"prompt": s["arguments"][0][0], "settings": s["arguments"][0][1], "filter": s["filter"],
         "place": s["doc_id"], "found": s["filtered_resps"][0], "correct": s["exact_match"]}
        for s in samples
    ]
    for name, samples in found["samples"].items()
}
json.dump(told, open(sys.argv[1] + ".told", "w"))
"""

GPQA_PARTS = (
    "The answer is ",
    "(A)",
    "(B) ",
    "(C)",
    "(D).",
    "b",
    "C",
    ":",
    " ",
    "\n",
    "Red.",
    "two",
    *("two  halves", "the answer is ", "(E)", "(a)", "reD", "\u00ab", "(", ")", "\u0130"),
)
MMLU_PARTS = (
    "the answer is ",
    "(A)",
    "(b)",
    "B",
    "J.",
    "K",
    "answer is (",
    "Answer is C",
    " ",
    "\n",
)
BBH_PARTS = (
    "the answer is ",
    "The answer is ",
    "(A)",
    "(B).",
    "yes",
    "Yes.",
    ".",
    " ",
    "\n",
    "True",
)


def made_up(parts: Sequence[str], seed: int) -> str:
    rng = Random(seed)
    return "".join(rng.choice(parts) for _ in range(rng.randint(0, 8)))


def gpqa_row(n: int) -> dict[str, str]:
    return {
        "Record ID": f"rec{n}",
        "Question": f" What is {n}? ",
        "Correct Answer": ("Red.", "two  halves", "A [title] B")[n % 3],
        "Incorrect Answer 1": "two",
        "Incorrect Answer 2": f"{n} (x)\n",
        "Incorrect Answer 3": "Red",
    }


def mmlu_row(n: int, category: str) -> dict[str, Any]:
    return {
        "question_id": n,
        "question": f"Which is {n}? {{{{x}}}} ",
        "options": [f" {k}-{n} " for k in range(4 + n % 7)],
        "answer": "ABCD"[n % 4],
        "cot_content": f"A: Let's think step by step. It is {n}. The answer is (B).",
        "category": category,
    }


def bbh_row(n: int) -> dict[str, str]:
    return {
        "input": f"Is it {n}?\n(A) yes {{{{y}}}}",
        "target": ("(A)", "yes", "True", "Yes.")[n % 4],
    }


@dataclass(frozen=True)
class Case:
    """A task of the harness, our domain for it, and made-up rows and outputs."""

    task: str
    domain: DatasetDomain
    rows: dict[str, list[dict[str, Any]]]
    parts: Sequence[str]


def cases() -> list[Case]:
    subjects = ("law", "computer science")
    few = [mmlu_row(n, subject) for n in range(6) for subject in subjects]
    many = [mmlu_row(n, subjects[n % 2]) for n in range(200)]
    mmlu = [
        Case(
            f"mmlu_pro_{subject.replace(' ', '_')}",
            MmluPro(subjects=(subject,)),
            {"test": many, "validation": few},
            MMLU_PARTS,
        )
        for subject in subjects
    ]
    gpqa = Case(
        "gpqa_main_cot_zeroshot",
        Gpqa(subset="main"),
        {"train": [gpqa_row(n) for n in range(300)]},
        GPQA_PARTS,
    )
    bbh = [
        Case(
            f"bbh_cot_fewshot_{task}",
            Bbh(task=task),
            {"test": [bbh_row(n) for n in range(12)]},
            BBH_PARTS,
        )
        for task in TASKS
    ]
    return [gpqa, *mmlu, *bbh]


Told = dict[str, list[dict[str, Any]]]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Told]:
    """The folder with each case's rows, and what the harness asked and judged."""
    folder = tmp_path_factory.mktemp("rows")
    asked = {}
    for case in cases():
        (folder / case.task).mkdir()
        for split, rows in case.rows.items():
            lines = "".join(json.dumps(row) + "\n" for row in rows)
            (folder / case.task / f"{split}.jsonl").write_text(lines)
        files = {split: str(folder / case.task / f"{split}.jsonl") for split in case.rows}
        outputs = [made_up(case.parts, seed) for seed in range(300)]
        asked[case.task] = {"files": files, "outputs": outputs}
    (folder / "asked.json").write_text(json.dumps(asked))
    command = [str(INTERPRETER), "-c", RUN, str(folder / "asked.json")]
    homes = {"HF_HOME": str(folder / "hf"), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(  # noqa: S603
        command, env=os.environ | homes, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return folder, json.loads((folder / "asked.json.told").read_text())


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.task)
def test_prompts_and_verdicts(
    case: Case, told: tuple[Path, Told], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, answers = told
    # The examples of bbh are read from the harness's own files.
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    site = Path(str(INTERPRETER)).parents[1] / "lib" / version / "site-packages"
    monkeypatch.setattr(sys, "path", [*sys.path, str(site)])
    asking = replace(case.domain, protocol="lm_eval", path=str(folder / case.task))
    problems = asking.problems()
    assert len(problems) == len({answer["place"] for answer in answers[case.task]})
    verdicts = set()
    for answer in answers[case.task]:
        problem = problems[answer["place"]]
        assert problem.prompt == answer["prompt"]
        assert list(problem.stop) == answer["settings"]["until"]
        assert problem.max_tokens == answer["settings"].get("max_gen_toks", 256)
        assert not problem.chat
        domain = asking
        if isinstance(domain, Gpqa):
            domain = replace(domain, filter=answer["filter"].split("-")[0])
        text = made_up(case.parts, answer["place"])
        grade = domain.grade(problem, text, "stop")
        assert (grade.outcome == "correct") == bool(answer["correct"]), (text, problem, answer)
        assert (grade.parsed or "[invalid]") == (answer["found"].strip() or "[invalid]")
        verdicts.add(grade.outcome)
    assert len(verdicts) > 1
