"""Stragglers: how long a few requests hold a trial up, what that costs, and why they are late."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from ablate.metrics.base import SEEN, Floats, Metric, Values, floats, ratio
from ablate.types import Completion, Record

QUARTER = 4
"""The tail begins when fewer than the peak / 4 requests are being served for good."""
MOST_NAMED = 20
"""Stragglers of one trial that are named; all are counted."""

Reason = Literal["long output", "queueing", "preemption", "slow pace", "came last"]

METRICS: tuple[Metric, ...] = (
    Metric(
        "tail_share",
        "share",
        "lower",
        "drain tail: share of the running time, at its end, in which for good fewer than a "
        "quarter of the peak number of requests are being served (from their first token on: who "
        "waits holds nothing up); 0 if they end together, null if fewer than "
        f"{QUARTER} ever were",
        SEEN,
    ),
    Metric("tail_requests", "requests", "lower", "requests that end in the drain tail"),
    Metric(
        "tail_tokens_not_served",
        "tokens",
        "lower",
        "output tokens that the drain tail's time would have given at the rate before it, minus "
        "those that it gave",
    ),
)


@dataclass(frozen=True, eq=False)
class Tail:
    """The end of a trial that a few requests hold up. ``late`` marks them; ``start`` is seconds.

    ``times`` and ``running`` are the requests being served over time.
    """

    times: Floats
    running: Floats
    peak: int
    start: float | None
    late: NDArray[np.bool_]

    @property
    def share(self) -> float | None:
        """Of the running time; None where too few ran at once to tell."""
        end = float(self.times[-1]) if self.times.size else 0.0
        if self.start is None:
            return 0.0 if self.peak >= QUARTER else None
        return ratio(end - self.start, end)


@dataclass(frozen=True)
class Straggler:
    """A request that ended in the tail. ``excess`` is against the median request.

    ``parts`` are the seconds by which its longer output, its later first token and its slower
    tokens make up the excess; they add up to it. Where the tokens are slower because the request
    was preempted in between, that is the reason.
    """

    domain: str
    problem_id: str
    sample: int
    reason: Reason
    seconds: float
    excess: float
    parts: Mapping[str, float]


@dataclass(frozen=True)
class Stragglers:
    """Why the requests of a trial's tail are in it. ``named``: those that ended last."""

    reasons: Mapping[str, int] = field(default_factory=dict)
    named: tuple[Straggler, ...] = ()


def under_way(begun: Floats, finished: Floats) -> tuple[Floats, Floats]:
    """(moments, how many requests have begun and not finished from then on)."""
    moments, place = np.unique(np.concatenate([begun, finished]), return_inverse=True)
    steps = np.concatenate([np.ones(begun.size), -np.ones(finished.size)])
    return moments, np.cumsum(np.bincount(place, weights=steps, minlength=moments.size))


def find_tail(begun: Floats, finished: Floats) -> Tail:
    """When fewer than a quarter of the most that were under way at once remain, for good.

    ``begun``: first tokens, for those being served; arrivals, for those under way.
    """
    times, running = under_way(begun, finished)
    peak = int(running.max(initial=0))
    busy = np.flatnonzero(running >= peak / QUARTER)
    if peak < QUARTER or busy[-1] + 2 >= times.size:  # the next moment is the end
        return Tail(times, running, peak, None, np.zeros(begun.size, dtype=np.bool_))
    start = float(times[busy[-1] + 1])
    return Tail(times, running, peak, start, finished > start)


def tail_of(records: Sequence[Record]) -> Tail:
    """By the requests being served; one without a token never was."""
    done = [r.completion for r in records]
    first = floats(c.token_times[0] if c.token_times else c.finished for c in done)
    return find_tail(first, floats(c.finished for c in done))


def backlog_of(records: Sequence[Record]) -> Tail:
    """The same by the requests under way, those that wait included."""
    done = [r.completion for r in records]
    return find_tail(floats(c.arrival for c in done), floats(c.finished for c in done))


def tail_metrics(records: Sequence[Record], tail: Tail) -> Values:
    """What the tail takes and costs."""
    share, start = tail.share, tail.start
    lost: float | None = None if share is None else 0.0
    if start:
        emitted = floats(chain.from_iterable(r.completion.token_times for r in records))
        before = int((emitted <= start).sum())
        lost = before / start * (float(tail.times[-1]) - start) - (emitted.size - before)
    return {
        "tail_share": share,
        "tail_requests": None if share is None else int(tail.late.sum()),
        "tail_tokens_not_served": lost,
    }


def stragglers(records: Sequence[Record], tail: Tail) -> Stragglers:
    """The requests of the tail and, for each, what explains most of its excess."""
    late = [r for r, is_late in zip(records, tail.late, strict=True) if is_late]
    if not late:
        return Stragglers()
    usual = _median([_anatomy(r.completion) for r in records])
    found = [_explain(record, usual) for record in late]
    counts = Counter(s.reason for s in found)
    last = sorted(zip(late, found, strict=True), key=lambda pair: -pair[0].completion.finished)
    return Stragglers(
        {reason: counts[reason] for reason in get_args(Reason) if counts[reason]},
        tuple(straggler for _, straggler in last[:MOST_NAMED]),
    )


@dataclass(frozen=True)
class _Anatomy:
    """E2E = first + gaps x pace: seconds to the first token, tokens after it, seconds of each."""

    first: float
    gaps: float
    pace: float | None

    @property
    def whole(self) -> float:
        return self.first + self.gaps * (self.pace or 0.0)


def _anatomy(done: Completion) -> _Anatomy:
    if not done.token_times:  # it waited to its end
        return _Anatomy(done.finished - done.arrival, 0, None)
    gaps = done.output_tokens - 1
    decode = done.finished - done.token_times[0]
    first = done.token_times[0] - done.arrival
    return _Anatomy(first, gaps, decode / gaps) if gaps > 0 else _Anatomy(first + decode, 0, None)


def _median(all_of_them: Sequence[_Anatomy]) -> _Anatomy:
    paces = [a.pace for a in all_of_them if a.pace is not None]
    return _Anatomy(
        float(np.median([a.first for a in all_of_them])),
        float(np.median([a.gaps for a in all_of_them])),
        float(np.median(paces)) if paces else 0.0,
    )


def _explain(record: Record, usual: _Anatomy) -> Straggler:
    own = _anatomy(record.completion)
    parts = _parts(own, usual)
    excess = own.whole - usual.whole
    reason = max(parts, key=parts.__getitem__) if excess > 0 else "came last"
    if reason == "slow pace" and record.completion.preemptions:
        reason = "preemption"  # its tokens were slow because it began again in between
    return Straggler(
        record.domain,
        record.problem_id,
        record.sample,
        reason,
        own.whole,
        excess,
        {str(part): seconds for part, seconds in parts.items()},
    )


def _parts(own: _Anatomy, usual: _Anatomy) -> dict[Reason, float]:
    """What each of the three makes of the excess; a product's change is shared out evenly.

    ``n·p - n₀·p₀ = (n - n₀)(p + p₀)/2 + (p - p₀)(n + n₀)/2``, the Shapley value of two factors.
    """
    other = usual.pace or 0.0
    pace = other if own.pace is None else own.pace  # without gaps their number explains all
    return {
        "long output": (own.gaps - usual.gaps) * (pace + other) / 2,
        "queueing": own.first - usual.first,
        "slow pace": (pace - other) * (own.gaps + usual.gaps) / 2,
    }
