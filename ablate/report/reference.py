"""Prints docs/reference/metrics.md from the definitions: ``python -m ablate.report.reference``."""

from __future__ import annotations

import sys
from collections.abc import Mapping

from ablate.metrics import METRICS, MIN_SAMPLES, Better, Metric

_BETTER: Mapping[Better, str] = {"higher": "higher", "lower": "lower", "neither": "—"}


def reference() -> str:
    """The reference page of every metric, as Markdown."""
    least = ", ".join(f"p{p} under {n}" for p, n in MIN_SAMPLES.items())
    return f"""\
# Metrics

Printed from `ablate/metrics/` by `python -m ablate.report.reference`; change them there.

Every trial (one arm in one block) gives these numbers; `results.json` holds them per block, and
as means over blocks under `summary`. Names follow vLLM's benchmark results where it has them.

- All latencies count from the **scheduled arrival** of a request, so time spent queueing counts.
- A number that cannot be had is null. Percentiles are null with too few samples ({least}): about
  6.5 samples must lie beyond a percentile for it to mean anything.
- Percentiles interpolate linearly between samples, as NumPy and vLLM do.
- Where no source is given, the definition is our own.
- A failed trial has no metrics. A resumed trial has only those marked "always".
- Means over time weigh each telemetry sample by how long it held; so do standard deviations.

| name | unit | better | definition | by domain | resumed trial | source |
| --- | --- | --- | --- | --- | --- | --- |
{"".join(_row(m) for m in METRICS)}"""


def _row(metric: Metric) -> str:
    cells = (
        f"`{metric.name}`",
        metric.unit,
        _BETTER[metric.better],
        metric.formula,
        "yes" if metric.per_domain else "",
        "" if metric.timed else "always",
        metric.source,
    )
    return f"| {' | '.join(cells)} |\n"


if __name__ == "__main__":
    sys.stdout.write(reference())
