"""Against lm-evaluation-harness itself: the same prompts, the same verdicts on the same outputs.

ABLATE_TEST_LM_EVAL: an interpreter with ``lm-eval[math]``; ABLATE_TEST_DATA: a folder with gsm8k
and math500 (see ``benchmarks/same_grades.py``, which compares all of it at its own time).
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import harness

pytestmark = pytest.mark.extra

ROOT = Path(__file__).parent.parent
ROW = re.compile(
    r"^\| (.+?) \| (.+?) \| (\d+) \| (\d*)\s*\| (\d+) \| (\d+) \| (\d*)\s*\|$", re.MULTILINE
)
CONTESTS = {"aime24/train": ("Problem", "Answer", int), "aime25/test": ("problem", "answer", str)}


@pytest.fixture(scope="module")
def python() -> str:
    found = os.environ.get("ABLATE_TEST_LM_EVAL")
    if not found:
        pytest.skip("ABLATE_TEST_LM_EVAL names no interpreter with lm-evaluation-harness")
    return found


@pytest.fixture(scope="module")
def data() -> Path:
    found = os.environ.get("ABLATE_TEST_DATA")
    if not found:
        pytest.skip("ABLATE_TEST_DATA names no folder with data sets")
    return Path(found)


def compared(python: str, data: Path, *options: str) -> list[tuple[str, str, int, int]]:
    """Task, kind of output, how many, how many agree, with the harness's package beside ablate."""
    environment = {**os.environ, "PYTHONPATH": str(harness.package(python).parent)}
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.same_grades",
         "--lm-eval", python, "--data", str(data), *options],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return [(row[1], row[2], int(row[3]), int(row[5])) for row in ROW.finditer(done.stdout)]


def all_agree(rows: list[tuple[str, str, int, int]], n: int, kinds: int) -> None:
    assert len(rows) == kinds
    assert all(asked == agreed == n for _, _, asked, agreed in rows), rows


def test_gsm8k_is_asked_and_judged_alike(python: str, data: Path) -> None:
    """Both filters on the same outputs; prompts with the examples that the harness draws."""
    rows = compared(python, data, "--only", "gsm8k", "--limit", "50")
    all_agree(rows, 50, 2 * (1 + 17))


def test_math500_is_asked_and_judged_alike(python: str, data: Path) -> None:
    rows = compared(python, data, "--only", "minerva_math500", "--limit", "20")
    all_agree(rows, 20, 2 * (1 + 16))


def test_aime_is_asked_and_judged_alike(python: str, tmp_path: Path) -> None:
    for name, (question, answer, kind) in CONTESTS.items():
        file = tmp_path / f"{name}.jsonl"
        file.parent.mkdir()
        rows = [{question: f"What is $x = {n}$?", answer: kind(n)} for n in (0, 7, 33, 204, 999)]
        file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    all_agree(compared(python, tmp_path), 5, 2 * (1 + 12))
