"""Run by an interpreter that has lm-evaluation-harness: its prompts and verdicts for given outputs.

``PYTHON lm_eval_side.py JOB ANSWER``; both are JSON files. It drives the harness's own task object
as its evaluator does (few-shot seed 1234, requests, filters, process_results) and knows nothing of
ablate. See ``harness.py`` beside it.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lm_eval.tasks import TaskManager

FEW_SHOT_SEED = 1234  # what lm_eval's command line uses unless told otherwise


def main() -> None:
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    loaded = TaskManager(include_defaults=False).load([job["task"]])
    (task,) = loaded["tasks"].values()
    task.set_fewshot_seed(FEW_SHOT_SEED)
    task.build_all_requests(limit=job["limit"])
    answer = {
        "prompts": [instance.args[0] for instance in task.instances],
        "generation": task.instances[0].args[1],
        "verdicts": {kind: verdicts(task, texts) for kind, texts in job["outputs"].items()},
    }
    Path(sys.argv[2]).write_text(json.dumps(answer), encoding="utf-8")


def verdicts(task: Any, texts: Sequence[str]) -> list[dict[str, Mapping[str, Any]]]:
    """For each document's output, by filter: what it found, the metrics, and the seconds taken."""
    for instance, text in zip(task.instances, texts, strict=True):
        instance.resps = [text]
        instance.filtered_resps = {}
    task.apply_filters()
    return [
        {key: judged(task, instance, key) for key in instance.filtered_resps}
        for instance in task.instances
    ]


def judged(task: Any, instance: Any, key: str) -> dict[str, Any]:
    found = instance.filtered_resps[key]
    start = time.monotonic()
    metrics = task.process_results(instance.doc, [found])
    seconds = time.monotonic() - start
    numbers = {name: float(value) for name, value in metrics.items()}
    return {"found": found, "metrics": numbers, "seconds": seconds}


if __name__ == "__main__":
    main()
