"""Where the commands print."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

PIPE_WIDTH = 120


def console() -> Console:
    """Standard output, of a width of its own where it is a pipe."""
    from rich.console import Console

    class OurConsole(Console):
        def on_broken_pipe(self) -> None:
            raise BrokenPipeError  # for `main`; rich would exit with 1, which means failed trials

    # A pipe has no width of its own, and 80 columns would fold the tables.
    return OurConsole(width=None if sys.stdout.isatty() else PIPE_WIDTH, highlight=False)
