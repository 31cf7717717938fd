"""A run as a few lines of HTML, for the cell of a notebook."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from ablate.report.html.tables import glance
from ablate.report.lists import failure_lines
from ablate.report.summary import verdict_sheets

Rows = Iterable[tuple[str, Sequence[Sequence[str]]]]


def summary(path: Path, results: Mapping[str, Any]) -> str:
    """The verdicts, every arm against the baseline, and what failed. No scripts, no styles."""
    run = results["run"]
    ended = f"{run['trials_ended']} of {run['trials_planned']} trials"
    parts = [
        f"<b>{escape(run['name'])}</b>: {escape(run['model'])} on {escape(run['engine'])}, {ended}"
    ]
    for sheet in verdict_sheets(results):
        rows = [(name, [cell.lines for cell in cells]) for name, cells in sheet.rows]
        parts.append(_table(sheet.title, sheet.columns, rows))
    grid = glance(results)
    if grid:
        rows = [(name, [box.lines for box in boxes]) for name, boxes in grid.rows]
        parts.append(_table("Against the baseline", grid.columns, rows))
    parts += [f"Failed: {escape(line)}" for line in failure_lines(results)]
    parts.append(f"<code>{escape(str(path))}</code>")
    return "".join(f"<div>{part}</div>" for part in parts)


def _table(corner: str, columns: Iterable[str], rows: Rows) -> str:
    head = "".join(f"<th>{escape(text)}</th>" for text in (corner, *columns))
    body = "".join(
        f"<tr><th>{escape(name)}</th>{''.join(map(_cell, cells))}</tr>" for name, cells in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _cell(lines: Sequence[str]) -> str:
    return f"<td>{'<br>'.join(map(escape, lines))}</td>"
