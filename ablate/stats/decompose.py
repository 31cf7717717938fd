"""Why an answer takes longer or shorter: more tokens, slower tokens, or more waiting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import exp, log

PARTS = ("output_length", "time_per_token", "remainder")
LEAST = 0.01
"""Changes of E2E below one percent are not divided into shares."""


def decompose(blocks: Sequence[Mapping[str, tuple[float, float]]]) -> dict[str, object] | None:
    """``E2E = output length x time per token x remainder``, as ratios that multiply to the whole.

    ``blocks``: by block, (arm, baseline) of ``e2e`` (mean seconds), ``output_length`` (mean
    tokens) and ``time_per_token`` (seconds of decoding a token). The remainder is what waiting for
    the first token adds: E2E / (length x time per token). Means over blocks of the logs, so the
    parts add up: ``shares`` of the log change, None where E2E changed by less than one percent.
    """
    usable = [b for b in blocks if all(x > 0 and y > 0 for x, y in b.values())]
    if not usable:
        return None
    logs = {
        name: sum(log(b[name][0] / b[name][1]) for b in usable) / len(usable)
        for name in ("e2e", *PARTS[:2])
    }
    logs["remainder"] = logs["e2e"] - logs["output_length"] - logs["time_per_token"]
    total = logs["e2e"]
    shares = {name: logs[name] / total for name in PARTS} if abs(total) >= log(1 + LEAST) else None
    return {
        "blocks": len(usable),
        "ratios": {name: exp(value) for name, value in logs.items()},
        "logs": logs,
        "shares": shares,
    }
