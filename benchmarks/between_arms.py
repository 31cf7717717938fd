"""The accuracy of a run's arms against one of them, paired by problem, with 95 % intervals.

``python -m benchmarks.between_arms runs/quantizers rtn-bits4``: what calibration buys at 4 bits.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ablate.report.arms import collect
from ablate.report.contrasts import contrast
from ablate.report.source import run_info, run_trials
from ablate.store import RunDir


def points(e: dict[str, Any]) -> str:
    """A change in points with its interval."""
    if e["value"] is None:
        return "-"
    return f"{100 * e['value']:+.1f} [{100 * e['low']:+.1f}, {100 * e['high']:+.1f}]"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, help="run directory")
    parser.add_argument("arm", help="the arm that the others are held against")
    args = parser.parse_args()
    run = RunDir(args.run)
    info = run_info(run)
    arms = collect(info, run_trials(run, info))
    print(f"| arm | {' | '.join(info.domains)} | all |\n|{' --- |' * (len(info.domains) + 2)}")
    for name, arm in arms.items():
        if name == args.arm or not arm.blocks:
            continue
        found = contrast(arm, arms[args.arm], info)["accuracy"]
        cells = [*(points(found["domains"][d]) for d in info.domains), points(found["overall"])]
        print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
