"""One model on GSM8K's first problems through ablate and through lm-evaluation-harness.

``python -m benchmarks.same_accuracy --model FOLDER --lm-eval PYTHON --data FOLDER``: greedy in fp32
on a CPU, five examples, the same local rows. PYTHON is an interpreter with ``lm-eval[hf]``; the
data's folder holds ``test.jsonl`` and ``train*.jsonl``. Compares prompts, texts and, by both
filters, verdicts, problem by problem. ``benchmarks/smollm2.py`` makes a model. The two take turns,
so that nothing runs beside either. Exits with 1 if a verdict or a prompt differs.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from ablate.cli import main as ablate
from ablate.report.source import run_info, run_trials
from ablate.store import RunDir
from ablate.types import Problem, Record
from ablate_datasets.gsm8k import Gsm8k
from benchmarks import harness

FILTERS = {"strict": "strict-match", "flexible": "flexible-extract"}


@dataclass
class Theirs:
    """What the harness logged of one problem; ``correct`` by filter."""

    prompt: str = ""
    text: str = ""
    correct: dict[str, bool] = field(default_factory=dict)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--model", type=Path, required=True, help="a checkpoint's folder")
    parser.add_argument("--lm-eval", required=True, help="an interpreter with lm-eval[hf]")
    parser.add_argument("--data", type=Path, required=True, help="a folder with GSM8K's rows")
    parser.add_argument("--limit", type=int, default=50)
    parser.add_argument("--concurrency", type=int, default=1, help="of ablate; theirs is 1")
    parser.add_argument("--only", choices=("ablate", "lm-eval"), help="run that one and print it")
    options = parser.parse_args()
    test = options.data.absolute() / "test.jsonl"
    train = next(iter(sorted(options.data.absolute().glob("train*.jsonl"))))
    rows: dict[str, Any] = {
        "path": str(test), "train_path": str(train), "limit": options.limit, "protocol": "lm_eval",
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        theirs, ours = {}, {}
        if options.only != "ablate":
            files = {"test": test, "train": train}
            theirs = through_lm_eval(options.lm_eval, options.model, files, options.limit, folder)
        if options.only != "lm-eval":
            ours = through_ablate(options.model, rows, options.concurrency, folder)
    if options.only:
        print(*(theirs or ours).items(), sep="\n")
    else:
        sys.exit(1 if compare(Gsm8k(**rows).problems(), ours, theirs, rows) else 0)


def through_lm_eval(
    python: str, model: Path, files: Mapping[str, Path], limit: int, folder: Path
) -> dict[str, Theirs]:
    """Each problem's prompt, text and verdicts, by our ids."""
    task, out = harness.local_task(python, "gsm8k/gsm8k", files, folder), folder / "lm_eval"
    command = [
        python, "-m", "lm_eval", "run", "--model", "hf",
        "--model_args", f"pretrained={model.absolute()},dtype=float32",
        "--tasks", str(task), "--device", "cpu", "--batch_size", "1", "--limit", str(limit),
        "--log_samples", "--output_path", str(out),
    ]  # fmt: skip
    start = time.monotonic()
    harness.run(command, folder)
    print(f"lm-eval: {time.monotonic() - start:.0f} s", flush=True)
    found: dict[str, Theirs] = defaultdict(Theirs)
    for file in out.rglob("samples_*.jsonl"):
        for sample in map(json.loads, file.read_text(encoding="utf-8").splitlines()):
            one = found[f"gsm8k-{sample['doc_id']}"]
            one.prompt = sample["arguments"]["gen_args_0"]["arg_0"]
            ((one.text,),) = sample["resps"]
            one.correct[sample["filter"]] = sample["exact_match"] == 1.0
    return dict(found)


def through_ablate(
    model: Path, rows: Mapping[str, Any], concurrency: int, folder: Path
) -> dict[str, Record]:
    """Each problem's record, by its id."""
    recipe = {
        "name": "same-accuracy",
        "model": {"id": str(model.absolute()), "dtype": "float32"},
        "engine": "local",
        "protocol": "lm_eval",
        "domains": {"gsm8k": dict(rows)},
        "workload": {"arrival": "batch", "concurrency": concurrency},
        "blocks": 1,
        "floor": False,
        "warmup": 0,
    }
    file, out = folder / "recipe.yaml", folder / "run"
    file.write_text(yaml.safe_dump(recipe), encoding="utf-8")
    start = time.monotonic()
    status = ablate(["run", str(file), "--output-dir", str(out)])
    if status:
        raise RuntimeError(f"ablate run ended with {status}")
    print(f"ablate: {time.monotonic() - start:.0f} s", flush=True)
    run = RunDir(out)
    (trial,) = run_trials(run, run_info(run))
    return {record.problem_id: record for record in trial.records}


def compare(
    problems: Sequence[Problem],
    ours: Mapping[str, Record],
    theirs: Mapping[str, Theirs],
    rows: Mapping[str, Any],
) -> int:
    """Print what agrees; returns how many prompts and verdicts do not."""
    n, differing = len(problems), 0
    prompts = sum(p.prompt == theirs[p.id].prompt for p in problems)
    texts = sum(ours[p.id].completion.text == theirs[p.id].text for p in problems)
    print(f"same prompt {prompts}/{n}, same text {texts}/{n}")
    print("| filter | n | ablate correct | lm-eval correct | same verdict |")
    print("| --- | --- | --- | --- | --- |")
    for name, key in FILTERS.items():
        domain = Gsm8k(**{**rows, "filter": name})
        mine = [_correct(domain, p, ours[p.id]) for p in problems]
        other = [theirs[p.id].correct[key] for p in problems]
        same = sum(a == b for a, b in zip(mine, other, strict=True))
        differing += n - same
        print(f"| {name} | {n} | {sum(mine)} | {sum(other)} | {same} |")
    return differing + n - prompts


def _correct(domain: Gsm8k, problem: Problem, record: Record) -> bool:
    done = record.completion
    return domain.grade(problem, done.text, done.finish_reason).outcome == "correct"


if __name__ == "__main__":
    main()
