"""``report.html``: one file that a person reads in a browser, without a network.

Made of results, which hold every estimate, and of the trials, which the charts of single requests
need. plotly and Jinja are loaded only when a page is written.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ablate.types import RunInfo, Trial


def write_html(
    results: Mapping[str, Any], info: RunInfo, trials: Iterable[Trial], path: Path
) -> None:
    """Write the page for a run, finished or not. ``trials`` may be a generator."""
    from ablate.report.html.page import to_html
    from ablate.store import write_atomically

    write_atomically(path, to_html(results, info, trials))
