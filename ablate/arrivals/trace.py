"""Arrivals as they were recorded: Azure's, BurstGPT's and ServeGen's traces, or any CSV."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from random import Random

from ablate.arrivals.base import OpenLoop, positive
from ablate.errors import did_you_mean

KNOWN = ("timestamp", "arrival_time", "arrived_at", "time")
"""Columns that traces keep their times in, in any case: ``TIMESTAMP`` (Azure's LLM inference
traces), ``Timestamp`` (BurstGPT), ``timestamp`` (ServeGen)."""


@dataclass(frozen=True)
class Trace(OpenLoop):
    """Open loop: arrivals at the times of a recorded trace. Which text is asked is the domains'.

    ``path``: a CSV file with a header. ``column``: the one with the times, seconds or dates (UTC
    unless they name a zone); not needed where it is called as in the public traces. ``speed``: 2
    replays it twice as fast. ``request_rate``: instead of ``speed``, what the mean rate of a
    trial's part is scaled to.
    Each block replays a part of the trace of its own, drawn by the recipe's ``seed``.
    """

    path: str
    column: str | None = None
    speed: float = 1.0
    request_rate: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        positive("speed", self.speed)
        if self.request_rate is not None:
            positive("request_rate", self.request_rate)
            if self.speed != 1.0:
                raise ValueError("speed and request_rate both scale time; give one of them")
        recorded(self.path, self.column)

    def offsets(self, n: int, rng: Random) -> list[float]:
        times = recorded(self.path, self.column)
        if n > len(times):
            raise ValueError(f"{self.path} has {len(times)} arrivals, and a trial needs {n}")
        start = rng.randint(0, len(times) - n)
        part = [time - times[start] for time in times[start : start + n]]
        if self.request_rate is None:
            return [time / self.speed for time in part]
        if n > 1 and not part[-1]:
            raise ValueError(f"{self.path} has {n} arrivals at one moment, which have no rate")
        return [time * (n - 1) / self.request_rate / part[-1] for time in part] if n > 1 else part


@lru_cache(maxsize=8)
def recorded(path: str, column: str | None) -> tuple[float, ...]:
    """A trace's arrivals in seconds, ascending. Raises ValueError if they cannot be read."""
    try:
        with Path(path).open(encoding="utf-8-sig", newline="") as file:
            return tuple(sorted(_times(csv.DictReader(file), path, column)))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"the trace {path} cannot be read: {error}") from None


def _times(rows: csv.DictReader[str], path: str, column: str | None) -> Iterator[float]:
    heads = list(rows.fieldnames or ())
    name = column or next((h for k in KNOWN for h in heads if h.strip().lower() == k), None)
    if name is None or name not in heads:
        known = did_you_mean(name or "timestamp", heads)
        raise ValueError(f"{path} has no column {name or 'with times'!r}; set column.{known}")
    for row in rows:
        text = (row[name] or "").strip()
        try:
            yield _seconds(text)
        except ValueError:
            raise ValueError(f"{path}:{rows.line_num}: {text!r} is no time") from None


def _seconds(text: str) -> float:
    """A number of seconds, or a date, of UTC unless it names a zone: a clock that is set back in
    autumn would turn the order of arrivals round. Azure's have seven digits behind the point.
    """
    try:
        value = float(text)
    except ValueError:
        whole, _, fraction = text.partition(".")
        zone = fraction.lstrip("0123456789")
        digits = fraction[: len(fraction) - len(zone)]
        date = datetime.fromisoformat(whole + zone)
        known = date if date.tzinfo else date.replace(tzinfo=UTC)
        value = known.timestamp() + float(f"0.{digits or 0}")
    if not abs(value) < float("inf"):
        raise ValueError(text)
    return value
