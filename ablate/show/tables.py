"""What the printed pages share: tables without lines, under a title."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from ablate.options import text


def titled(title: str, headings: Sequence[str], rows: Iterable[Sequence[str]]) -> Group:
    return Group(Text(f"\n{title}", "bold"), table(headings, rows))


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    made = Table(box=None, pad_edge=False, show_header=bool(headings), padding=(0, 2, 0, 0))
    for heading in headings:
        made.add_column(Text(heading, "dim"), overflow="fold")
    for row in rows:
        made.add_row(*(Text(cell) for cell in row))
    return made


def pairs(options: Mapping[str, Any]) -> str:
    return " ".join(f"{key}={text(value)}" for key, value in options.items())
