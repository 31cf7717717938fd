"""The first page of a report: verdicts, claims, and what optimizations do together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ablate.report import words
from ablate.report.cells import EMPTY, NOISE, Cell, Mood, Sheet
from ablate.report.reasons import needed
from ablate.stats.verdict import ALPHA

Results = Mapping[str, Any]

VERDICT_AID = (
    "keep: something got better and nothing worse. drop: something got worse, nothing better. "
    "trade-off: both. no difference: neither, for sure. undecided: more measuring is needed."
)
TOGETHER_AID = (
    "Beyond what the two do one by one, added up (accuracy, points) or multiplied (ratios) "
    f"[95 % interval]. Bold: shown, adjusted for all comparisons. {NOISE}: no more than the "
    "baseline run twice."
)
_MOODS: Mapping[str, Mood] = {"keep": "better", "drop": "worse", "undecided": "noise"}
_TOGETHER = {
    "accuracy": "Accuracy",
    "request_throughput": "Request throughput",
    "mean_e2el_ms": "Whole answer",
    "peak_kv_bytes": "KV cache peak",
}


def verdict_sheets(results: Results) -> list[Sheet]:
    """One row an optimization, one column for all problems and each domain."""
    found = {(v["name"], v["domain"]): v for v in results["verdicts"]}
    if not found:
        return []
    domains = list(dict.fromkeys(domain for _, domain in found))
    rows = tuple(
        (name, tuple(_verdict_cell(found[name, d]) for d in domains))
        for name in dict.fromkeys(name for name, _ in found)
    )
    return [Sheet("Verdict", tuple(d or "all" for d in domains), rows, VERDICT_AID)]


def _verdict_cell(entry: Mapping[str, Any]) -> Cell:
    return Cell((entry["verdict"],), _MOODS.get(entry["verdict"], "plain"))


def verdict_lines(results: Results) -> list[str]:
    """Why: each optimization over all problems, and the domains where the verdict differs."""
    overall = {v["name"]: v for v in results["verdicts"] if v["domain"] is None}
    shown = [
        v
        for v in results["verdicts"]
        if v["domain"] is None or v["verdict"] != overall[v["name"]]["verdict"]
    ]
    return [_line(v) for v in shown]


def _line(entry: Mapping[str, Any]) -> str:
    where = f" in {entry['domain']}" if entry["domain"] else ""
    more = needed(entry)
    text = [f"{entry['name']}{where}: {entry['verdict']}. {entry['reason']}", *entry["cautions"]]
    return " ".join([*text, f"{more[0].upper()}{more[1:]}."] if more else text)


def claim_lines(results: Results) -> list[str]:
    """The recipe's claims, each with its answer."""
    return [f"{c['status'].upper()}: {c['text']} ({c['reason']})" for c in results["claims"]]


def lossless_lines(results: Results) -> list[str]:
    """Whether optimizations that claim to change no answer did."""
    return [
        f"{', '.join(e['plugins'])}, arm {e['arm']} against {e['against']}: {e['reason']}"
        for e in results["lossless"]
    ]


def interaction_sheets(results: Results) -> list[Sheet]:
    """One row for every two optimizations, one column a metric, over all problems."""
    found = {(e["name"], e["metric"]): e for e in results["interactions"] if e["domain"] is None}
    if not found:
        return []
    rows = tuple(
        (name, tuple(_interaction_cell(found[name, metric]) for metric in _TOGETHER))
        for name in dict.fromkeys(name for name, _ in found)
    )
    return [Sheet("Together", tuple(_TOGETHER.values()), rows, TOGETHER_AID)]


def _interaction_cell(entry: Mapping[str, Any]) -> Cell:
    if entry["value"] is None:
        return EMPTY
    if entry["metric"] == "accuracy":
        interval = words.interval(entry["low"], entry["high"], signed=True)
        lines: tuple[str, ...] = (words.points(entry["value"]), interval)
        up = entry["value"] > 0
    else:
        lines = words.change(entry["metric"], entry)
        up = bool(words.better(entry["metric"], entry))
    if entry["within_noise"]:
        return Cell((*lines, NOISE), "noise")
    sure = entry["p_holm"] is not None and entry["p_holm"] < ALPHA
    return Cell(lines, ("better" if up else "worse") if sure else "plain")
