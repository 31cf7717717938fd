"""A server's metrics page as our telemetry.

The Prometheus text format is lines of ``name{labels} value``; the few that are wanted are read
here, which spares a dependency and the parsing of some thousand others.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ablate.engines.server.launchers import Dialect
from ablate.types import EngineFacts, Usage

Page = Mapping[str, list[float]]


def read_page(page: str, wanted: Iterable[str]) -> Page:
    """The values of each wanted metric, one for each set of labels."""
    found: dict[str, list[float]] = {name: [] for name in wanted}
    for line in page.splitlines():
        name = line.partition("{")[0].partition(" ")[0]
        if name in found:
            found[name].append(_value(line))
    return {name: values for name, values in found.items() if values}


def _value(line: str) -> float:
    after = line.rpartition("}")[2] or line.partition(" ")[2]
    words = after.split() if "}" in line else line.split()[1:]
    try:
        return float(words[0])  # a time stamp may follow
    except (IndexError, ValueError):
        return 0.0


def counters(page: str, dialect: Dialect) -> dict[str, float]:
    """The server's totals under our names, summed over its engines."""
    found = read_page(page, dialect.counters)
    return {dialect.counters[name]: sum(values) for name, values in found.items()}


def engines(page: str, dialect: Dialect) -> int:
    """How many engines a page has totals of; 0 if it has none."""
    return max(map(len, read_page(page, dialect.counters).values()), default=0)


def usage(time: float, page: str, dialect: Dialect, facts: EngineFacts) -> Usage | None:
    """One sample, None if the page has not what makes one."""
    raw = read_page(page, dialect.gauges)
    found = {dialect.gauges[name]: values for name, values in raw.items()}
    if not {"running", "waiting"} <= set(found):
        return None
    capacity = _total(found.get("kv_capacity")) or facts.kv_cache_tokens
    tokens = _total(found.get("kv_tokens"))
    if tokens is None and capacity is not None and "kv_share" in found:
        shares = found["kv_share"]
        tokens = capacity * sum(shares) / len(shares)
    per_token = facts.kv_bytes_per_token
    total = _times(capacity, per_token)
    return Usage(
        time=time,
        running=round(sum(found["running"])),
        waiting=round(sum(found["waiting"])),
        kv_tokens=_times(tokens, 1.0),
        kv_bytes=_times(tokens, per_token),
        kv_allocated_bytes=total,  # these servers take all of it as they start
        kv_budget_bytes=total,
    )


def _total(values: list[float] | None) -> float | None:
    return sum(values) if values else None


def _times(tokens: float | None, each: float | None) -> int | None:
    return None if tokens is None or each is None else round(tokens * each)
