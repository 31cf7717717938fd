"""What HTTP costs beside vLLM in-process, with vLLM's polling processes giving way.

``python -m benchmarks.http_cost --python PY``: arithmetic problems one at a time, on `vllm`
in-process and on `server: vllm`, by turns, paired by block. vLLM's engine core and its worker poll,
each on a core of its own. On a machine with two cores its HTTP front end, and any client, wait for
one of them, and what is measured is that. Here both run at the lowest priority (nice 19), as other
programs' time is what they poll away. ``--as-they-are`` leaves them.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from ablate.report.source import run_info, run_trials
from ablate.store import RunDir
from benchmarks.same_answers import pairs, print_times

LOWEST, EVERY = 19, 0.1  # seconds between looking for new threads
POLLING = (b"VLLM::EngineCore", b"VLLM::Worker")


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


def give_way() -> None:
    """Every thread of the processes that poll."""
    for process in polling():
        for thread in Path(process, "task").glob("*"):
            try:
                os.setpriority(os.PRIO_PROCESS, int(thread.name), LOWEST)
            except (ProcessLookupError, FileNotFoundError):
                continue


def polling() -> Iterator[Path]:
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = Path(process, "cmdline").read_bytes()
        except (ProcessLookupError, FileNotFoundError):
            continue
        if words.startswith(POLLING):
            yield process


if __name__ == "__main__":
    main()
