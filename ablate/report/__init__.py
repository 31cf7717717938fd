"""From a run directory to tables, ``report.html``, ``report.md``, ``results.json`` and Parquet.

Works on any machine: neither torch nor the recipe's plugins are needed, but for
those that add metrics.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

    from ablate.store import RunDir


def write_report(run_dir: RunDir) -> dict[str, Any]:
    """Write ``results.json``, ``report.md`` and ``report.html`` into the run directory.

    And ``results.parquet``, where pyarrow is installed. Returns the results. The run may be
    unfinished or failed. Raises AblateError if the directory holds no run or a damaged one.
    """
    # Imported here: SciPy takes a second to load, and most commands never report.
    from ablate.plugins import installed
    from ablate.report.added import added_metrics
    from ablate.report.html import write_html
    from ablate.report.markdown import to_markdown
    from ablate.report.parquet import available, write_parquet
    from ablate.report.results import build_results
    from ablate.report.source import run_info, run_trials
    from ablate.store import write_atomically

    info = run_info(run_dir)
    added = added_metrics(installed())
    results = build_results(info, run_trials(run_dir, info), added)
    text = json.dumps(results, indent=2, ensure_ascii=False, allow_nan=False)
    write_atomically(run_dir.path / "results.json", text + "\n")
    write_atomically(run_dir.path / "report.md", to_markdown(results))
    write_html(results, info.under_load, run_trials(run_dir, info), run_dir.path / "report.html")
    parquet = run_dir.path / "results.parquet"
    if available():
        write_parquet(info, run_trials(run_dir, info), parquet)
    else:
        parquet.unlink(missing_ok=True)  # of an earlier report: it may lack trials that ended since
    return results


def print_report(results: dict[str, Any], console: Console) -> None:
    """Print the tables of ``write_report``'s results."""
    from ablate.report.table import print_tables

    print_tables(results, console)
