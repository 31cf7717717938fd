"""The report in a terminal: readable at 80 columns, made to fit any width by splitting tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from ablate.report.behaviours.late import late_line
from ablate.report.cells import Cell, Mood, Sheet
from ablate.report.lists import evidence_lines, failure_lines
from ablate.report.sheets import sheets
from ablate.report.summary import claim_lines, lossless_lines, verdict_lines, verdict_sheets

_STYLES: Mapping[Mood, str] = {
    "plain": "",
    "better": "bold green",
    "worse": "bold red",
    "noise": "dim",
}
_GAP = 2  # blanks between columns


def print_tables(results: Mapping[str, Any], console: Console) -> None:
    """Verdicts and claims, every table, then what each optimization did, failures and caveats."""
    run = results["run"]
    console.print(f"[bold]{escape(run['name'])}[/]: {escape(run['model'])} on {run['engine']}")
    _print_sheets(verdict_sheets(results), console)
    _print_list("In words", verdict_lines(results), console)
    _print_list("Claims", claim_lines(results), console)
    _print_sheets(sheets(results), console)
    _print_list("Said to change no answer", lossless_lines(results), console)
    _print_list("What each optimization did", evidence_lines(results), console)
    _print_list("Stragglers", late_line(results), console)
    _print_list("Failed trials", failure_lines(results), console)
    _print_list("Read with care", results["notes"], console)


def _print_sheets(shown: Iterable[Sheet], console: Console) -> None:
    for sheet in shown:
        for part in split(sheet, console.width):
            console.print(_table(part, label_width(sheet, console.width)), end="\n\n")
        console.print(Text(sheet.aid, style="dim"), end="\n\n")


def label_width(sheet: Sheet, width: int) -> int:
    """Columns for arm names, which may fold: 18 leave room for three accuracies in 80."""
    longest = max((len(label) for label, _ in sheet.rows), default=0)
    return min(longest, 18 if width < 100 else 30)


def split(sheet: Sheet, width: int) -> Iterator[Sheet]:
    """The sheet as one or more that fit ``width``, each with at least one column."""
    labels, start = label_width(sheet, width), 0
    while start < len(sheet.columns):
        end, used = start, labels
        while end < len(sheet.columns):
            used += _GAP + _column_width(sheet, end)
            if used > width and end > start:
                break
            end += 1
        rows = tuple((label, cells[start:end]) for label, cells in sheet.rows)
        yield Sheet(sheet.title, sheet.columns[start:end], rows, sheet.aid)
        start = end


def _column_width(sheet: Sheet, column: int) -> int:
    lines = [line for _, cells in sheet.rows for line in cells[column].lines]
    # A heading may fold between words, a number may not.
    return max(len(text) for text in [*lines, *sheet.columns[column].split()])


def _table(sheet: Sheet, labels: int) -> Table:
    table = Table(
        title=sheet.title,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        padding=(0, _GAP - 1, 0, 0),  # the box adds one blank between columns
        pad_edge=False,
        show_edge=False,
    )
    table.add_column("", width=labels, overflow="fold")
    for number, column in enumerate(sheet.columns):
        table.add_column(Text(column), min_width=_column_width(sheet, number), vertical="top")
    for label, cells in sheet.rows:
        table.add_row(Text(label), *(_text(cell) for cell in cells))
    return table


def _text(cell: Cell) -> Text:
    return Text("\n".join(cell.lines), style=_STYLES[cell.mood], no_wrap=True)


def _print_list(title: str, lines: list[str], console: Console) -> None:
    if lines:
        console.print(Text(title, style="bold"))
        for line in lines:
            console.print(Text(f"- {line}"))
        console.print()
