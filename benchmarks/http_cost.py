"""What HTTP costs beside vLLM in-process, with vLLM's polling processes giving way.

``python -m benchmarks.http_cost --python PY``: arithmetic problems one at a time, on `vllm`
in-process and on `server: vllm`, by turns, paired by block. ``benchmarks.polling`` says what gives
way and why; ``--as-they-are`` leaves it.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from ablate.report.source import run_info, run_trials
from ablate.store import RunDir
from benchmarks.polling import give_way
from benchmarks.same_answers import pairs, print_times

EVERY = 0.1  # seconds between looking for new threads


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--python", required=True, help="an interpreter that has vLLM")
    parser.add_argument("--blocks", type=int, default=5)
    parser.add_argument("--problems", type=int, default=16)
    parser.add_argument("--as-they-are", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder, "run")
        command = [
            sys.executable,
            "-m",
            "ablate",
            "run",
            *overrides(options),
            "--output-dir",
            str(run),
        ]
        with subprocess.Popen(command) as process:  # noqa: S603 - ours
            while process.poll() is None:
                if not options.as_they_are:
                    give_way()
                time.sleep(EVERY)
        info = run_info(RunDir(run))
        trials = [t for t in run_trials(RunDir(run), info) if t.result.status == "ok"]
    first, second = dict.fromkeys(t.result.arm for t in trials)
    print_times(f"{second} / {first}", pairs(trials, second, first))


def overrides(options: argparse.Namespace) -> list[str]:
    """The recipe of three engines, without the in-process one of ablate."""
    server = f"{{server: {{launch: vllm, python: {options.python}}}}}"
    return [
        "recipes/engines.yaml",
        f"engine={{vllm: {{python: {options.python}}}}}",
        f"factors.engine=[{{set: {{engine: {server}}}}}]",
        f"domains={{arithmetic: {{limit: {options.problems}}}}}",
        "workload.concurrency=1",
        f"blocks={options.blocks}",
    ]


if __name__ == "__main__":
    main()
