"""What the page says first: a verdict on each optimization, and on each claim."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ablate.report.reasons import needed

MARKS = {
    "keep": "✓",
    "drop": "✕",
    "trade-off": "⇄",
    "no difference": "=",
    "undecided": "?",
    "supported": "✓",
    "refuted": "✕",
}
"""What stands before a verdict's word, so that no reader depends on its colour."""


@dataclass(frozen=True)
class Verdict:
    """What one optimization does. ``domains``: verdict -> (domain, reason) of each with it."""

    name: str
    word: str
    reason: str
    needed: str
    cautions: tuple[str, ...]
    domains: Mapping[str, Sequence[tuple[str, str]]] = field(default_factory=dict)


def verdicts(results: Mapping[str, Any]) -> list[Verdict]:
    """The overall verdict on each optimization, with those by domain beside it."""
    entries = results["verdicts"]
    return [
        Verdict(
            e["name"],
            e["verdict"],
            e["reason"],
            _needed(e),
            tuple(e["cautions"]),
            _in_domains([d for d in entries if d["name"] == e["name"]]),
        )
        for e in entries
        if e["domain"] is None
    ]


def _in_domains(entries: Iterable[Mapping[str, Any]]) -> dict[str, list[tuple[str, str]]]:
    found: dict[str, list[tuple[str, str]]] = {}
    for e in entries:
        if e["domain"] is not None:
            why = " ".join(filter(None, (e["reason"], _needed(e))))
            found.setdefault(e["verdict"], []).append((e["domain"], why))
    return found


def _needed(entry: Mapping[str, Any]) -> str:
    """What would decide what is open, as a sentence."""
    text = needed(entry)
    return f"{text[0].upper()}{text[1:]}." if text else ""


def claims(results: Mapping[str, Any]) -> list[Verdict]:
    """The recipe's claims and the claims of losslessness."""
    made = [Verdict(c["text"], c["status"], c["reason"], "", ()) for c in results["claims"]]
    lossless = [
        Verdict(f"{e['arm']} against {e['against']}: lossless", e["status"], e["reason"], "", ())
        for e in results["lossless"]
    ]
    return made + lossless
