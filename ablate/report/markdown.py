"""``report.md``: the same tables for a pull request or a file viewer."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ablate.report import words
from ablate.report.behaviours.sheets import behaviour_sheets
from ablate.report.cells import Cell, Sheet
from ablate.report.lists import evidence_lines, failure_lines
from ablate.report.sheets import sheets
from ablate.report.summary import claim_lines, lossless_lines, verdict_lines, verdict_sheets
from ablate.stats import CONFIDENCE, MIN_CHANGED, RESAMPLES

METHODS = f"""\
Accuracy is compared problem by problem: the answers that both arms gave to one problem are averaged
over samples and blocks, and the change is the mean over problems. Its {CONFIDENCE:.0%} interval is
a bootstrap over problems ({RESAMPLES:,} resamples), or Tango's score interval where fewer than
{MIN_CHANGED} problems vary; the p-value is the exact McNemar test over problems (Wilson intervals
stand beside the baseline's accuracy). Speed and memory are compared block by block: the mean of
log(arm / baseline) with a t interval over blocks. "all" pools the problems of every domain. The
noise floor is the change that running the baseline a second time made, estimated in the same way.
Verdicts rest on each optimization's effect averaged over the settings of the others (or with the
others off, where they interact): accuracy by non-inferiority at the recipe's margin, speed and
memory by superiority beyond a band, p-values adjusted after Holm over all effects and domains of
one metric. Intervals are for one comparison each; in a table with many, about one in twenty
excludes no change by chance. Formulas and sources: docs/explanation/statistics.md; metrics:
docs/reference/metrics.md.
"""


def to_markdown(results: Mapping[str, Any]) -> str:
    """The whole report as GitHub-flavoured Markdown."""
    run = results["run"]
    parts = [
        f"# {_text(run['name'])}",
        f"{_text(run['model'])} on {run['engine']}, {run['created']}; "
        f"{run['trials_ended']} of {run['trials_planned']} trials ended.",
        *(part for sheet in verdict_sheets(results) for part in _sheet(sheet)),
        *_section("In words", _bullets(verdict_lines(results))),
        *_section("Claims", _bullets(claim_lines(results))),
        *_section("Read with care", _bullets(results["notes"])),
        *(part for sheet in sheets(results) for part in _sheet(sheet)),
        *(part for sheet in behaviour_sheets(results) for part in _sheet(sheet)),
        *_section("Answers that changed", _flips(results)),
        *_section("Said to change no answer", _bullets(lossless_lines(results))),
        *_section("What each optimization did", _bullets(evidence_lines(results))),
        *_section("Failed trials", _bullets(failure_lines(results))),
        *_section("Recipe", _recipe(results)),
        *_section("How problems are asked", _bullets(_pairs(results["run"]["statements"]))),
        *_section("Environment", _bullets(_pairs(results["environment"]))),
        *_section("Methods", METHODS.strip()),
    ]
    return "\n\n".join(parts) + "\n"


def _section(title: str, body: str) -> tuple[str, ...]:
    return (f"## {title}", body) if body else ()


def _bullets(lines: Iterable[str]) -> str:
    return "\n".join(f"- {_text(line)}" for line in lines)


def _sheet(sheet: Sheet) -> tuple[str, ...]:
    rows = [[_text(label), *map(_cell, cells)] for label, cells in sheet.rows]
    return f"## {sheet.title}", table(["arm", *map(_text, sheet.columns)], rows), f"*{sheet.aid}*"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table whose cells are already Markdown, without line breaks or bare bars."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(cell: Cell) -> str:
    first, *rest = map(_text, cell.lines)
    if cell.mood in ("better", "worse"):
        first = f"**{first}**"
    return "<br>".join([first, *rest])


def _text(value: object) -> str:
    """Any text as one line that cannot break a table or start markup."""
    flat = " ".join(str(value).split())
    for mark in "\\|<`*_":
        flat = flat.replace(mark, "&lt;" if mark == "<" else f"\\{mark}")
    return flat


def _flips(results: Mapping[str, Any]) -> str:
    floor = results["noise_floor"] or {"contrasts": []}
    rows = [
        [_text(c["arm"]), _text(domain), *_flip_cells(entry)]
        for c in [*floor["contrasts"], *results["contrasts"]]
        for domain, entry in c["accuracy"]["domains"].items()
        if entry["n"]
    ]
    if not rows:
        return ""
    header = ["arm", "domain", "problems", "right → wrong", "wrong → right", "p"]
    aid = (
        "*Problems answered right less often, or more often, than with the baseline. "
        "p: chance of a split at least this uneven if the arm changed nothing.*"
    )
    return f"{table(header, rows)}\n\n{aid}"


def _flip_cells(entry: Mapping[str, Any]) -> list[str]:
    p = entry["p_value"]
    return [*(str(entry[k]) for k in ("n", "worse", "better")), words.p_value(p)]


def _recipe(results: Mapping[str, Any]) -> str:
    run = results["run"]
    lines = [
        f"model: {run['model']}; engine: {run['engine']}; domains: {', '.join(run['domains'])}",
        f"blocks: {run['blocks']}; requests per trial: {run['requests_per_trial']}",
        *_pairs({k: run[k] for k in ("margins", "slo") if run[k]}),
        f"ablate {run['ablate_version']}; the resolved recipe is recipe.yaml beside this file",
    ]
    rows = [
        [_text(a["id"]), *(_text(_compact(a[k])) for k in ("plugins", "settings"))]
        for a in results["arms"]
    ]
    return f"{_bullets(lines)}\n\n{table(['arm', 'optimizations', 'settings'], rows)}"


def _pairs(mapping: Mapping[str, Any]) -> list[str]:
    return [
        f"{key}: {_compact(value) if isinstance(value, (dict, list)) else value}"
        for key, value in mapping.items()
    ]


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False) if value else "none"
