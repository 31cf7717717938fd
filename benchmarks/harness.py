"""lm-evaluation-harness from outside: its tasks on local files, run by its own interpreter."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

SIDE = Path(__file__).with_name("lm_eval_side.py")
WHERE = "import lm_eval, os; print(os.path.dirname(lm_eval.__file__))"

# Nothing is fetched, whatever the machine could reach.
OFFLINE = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}


@dataclass(frozen=True)
class Answer:
    """What the harness says: the prompt of each problem, and the verdicts by kind of output.

    A verdict is, by filter, ``{"found": ..., "metrics": {...}, "seconds": ...}``.
    """

    prompts: Sequence[str]
    generation: Mapping[str, Any]
    verdicts: Mapping[str, Sequence[Mapping[str, Mapping[str, Any]]]]


def package(python: str) -> Path:
    """The folder of the lm_eval that an interpreter imports."""
    done = subprocess.run([python, "-c", WHERE], capture_output=True, text=True, check=True)  # noqa: S603
    return Path(done.stdout.strip())


def local_task(python: str, task: str, files: Mapping[str, Path], folder: Path) -> Path:
    """A YAML file with one of the harness's tasks (``gsm8k/gsm8k``) whose rows are local files."""
    config = {
        "include": str(package(python) / "tasks" / f"{task}.yaml"),
        "task": f"{Path(task).name}_local",
        "dataset_path": "json",
        "dataset_name": None,
        "dataset_kwargs": {"data_files": {k: str(v.absolute()) for k, v in files.items()}},
    }
    file = folder / f"{config['task']}.yaml"
    file.write_text(yaml.safe_dump(config), encoding="utf-8")
    return file


def ask(
    python: str,
    task: str,
    files: Mapping[str, Path],
    outputs: Mapping[str, Sequence[str]],
    limit: int | None = None,
) -> Answer:
    """The harness's prompts for the first ``limit`` problems, and its verdicts on ``outputs``.

    ``outputs``: by kind, one text a problem.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        local = local_task(python, task, files, folder)
        job, answer = folder / "job.json", folder / "answer.json"
        wanted = {"task": str(local), "limit": limit, "outputs": outputs}
        job.write_text(json.dumps(wanted), encoding="utf-8")
        run([python, str(SIDE), str(job), str(answer)], folder)
        return Answer(**json.loads(answer.read_text(encoding="utf-8")))


def run(command: Sequence[str], folder: Path) -> None:
    """A command of the harness's interpreter. Raises RuntimeError with the end of what it said."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    environment |= {**OFFLINE, "HF_HOME": str(folder / "hf")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
