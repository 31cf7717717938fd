"""What ``ablate artifacts`` prints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

from rich.console import Console

from ablate.artifacts import Kept
from ablate.show.tables import pairs, table


def print_artifacts(kept: Sequence[Kept], root: Path, console: Console) -> None:
    """The quantized models on disk, the newest first, with what they were made from."""
    if not kept:
        console.print(f"No quantized models are kept in {root}.", markup=False)
        return
    rows = [
        [
            one.name,
            one.model,
            f"{one.bytes / 1e6:,.1f} MB",
            datetime.fromtimestamp(one.made).strftime("%Y-%m-%d %H:%M"),
            "" if one.seconds is None else f"{one.seconds:,.0f} s",
            _made_from(one),
        ]
        for one in kept
    ]
    console.print(table(("name", "model", "size", "made", "took", "options"), rows))
    total = sum(one.bytes for one in kept) / 1e6
    console.print(f"\n{len(kept)} in {root}, {total:,.1f} MB", markup=False)


def _made_from(one: Kept) -> str:
    if one.inputs is None:
        return "damaged: its manifest cannot be read; delete it"
    options = one.inputs.get("options")
    return pairs(options) if isinstance(options, Mapping) else ""
