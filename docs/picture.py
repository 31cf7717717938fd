"""Draws a run's terminal report as docs/report.svg: ``python docs/picture.py RUN_DIR``."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from rich.console import Console

from ablate.report import print_report, write_report
from ablate.store import RunDir

WIDTH = 100


def main(run: Path) -> None:
    with Path(os.devnull).open("w") as nowhere:
        console = Console(record=True, width=WIDTH, file=nowhere, force_terminal=True)
        print_report(write_report(RunDir(run)), console)
    picture = Path(__file__).parent / "report.svg"
    console.save_svg(str(picture), title=f"ablate report {run.name}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
