"""The sentences that stand beside the tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_EFFECT = {True: "took effect", False: "did not take effect", None: "cannot be told"}


def evidence_lines(results: Mapping[str, Any]) -> list[str]:
    """What each optimization showed of itself, one line per arm and plugin."""
    return [
        f"arm {arm['id']}: {e['plugin']} {_EFFECT[e['applied']]}: {e['detail']}"
        for arm in results["arms"]
        for e in arm["evidence"]
    ]


def failure_lines(results: Mapping[str, Any]) -> list[str]:
    """One line per arm and reason, with the blocks that it stopped."""
    blocks: dict[tuple[str, str, str], list[str]] = {}
    for f in results["failures"]:
        reason = f["arm"], f["kind"].replace("_", " "), " ".join(f["message"].split())
        blocks.setdefault(reason, []).append(str(f["block"]))
    return [
        f"{arm}, block {', '.join(where)}: {kind}: {message}"
        for (arm, kind, message), where in blocks.items()
    ]
