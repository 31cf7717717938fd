"""Output lengths, learnt from the requests that ended and expected of those that wait."""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple

from ablate.engines.local.interfaces import Seq


class Group(NamedTuple):
    """Requests whose lengths tell of each other's.

    ``limit``: what was cut off at one limit does not tell of another. ``stated``: whether they have
    a difficulty.
    """

    domain: str
    limit: int
    stated: bool


class Line:
    """Least squares of length on difficulty, a point at a time; the mean where nothing slopes."""

    def __init__(self) -> None:
        self.points: list[tuple[float, int]] = []
        self._mean_x = self._mean_y = self._xx = self._xy = 0.0

    def add(self, x: float, y: int) -> None:
        """In one pass, as Welford (1962) did for the variance."""
        self.points.append((x, y))
        away = x - self._mean_x
        self._mean_x += away / len(self.points)
        self._mean_y += (y - self._mean_y) / len(self.points)
        self._xx += away * (x - self._mean_x)
        self._xy += away * (y - self._mean_y)

    def at(self, x: float) -> float:
        slope = self._xy / self._xx if self._xx else 0.0
        return self._mean_y + slope * (x - self._mean_x)


class LengthHistory:
    """What the requests that ended say of the length of others."""

    def __init__(self) -> None:
        self._lines: defaultdict[Group, Line] = defaultdict(Line)

    def learn(self, seq: Seq) -> None:
        """An output ended, by itself or at its limit."""
        self._lines[_group(seq)].add(_difficulty(seq), len(seq.tokens) - seq.prompt_len)

    def knows(self, seq: Seq) -> bool:
        """Whether a request of its group has ended."""
        return _group(seq) in self._lines

    def remaining(self, seq: Seq) -> float:
        """Output tokens that ``seq`` is still expected to make, at least 1 and at most its limit.

        One that has made some already will be longer than those that ended sooner: of what others
        missed their line by, only what leaves it something to make is averaged. Where nothing
        does, or nothing is known, it is expected to run to its limit.
        """
        if not self.knows(seq):
            return seq.remaining
        line, made = self._lines[_group(seq)], len(seq.tokens) - seq.prompt_len
        left = line.at(_difficulty(seq)) - made
        if made:
            missed = (left + y - line.at(x) for x, y in line.points)
            longer = [tokens for tokens in missed if tokens > 0]
            left = sum(longer) / len(longer) if longer else seq.remaining
        return min(max(left, 1.0), seq.remaining)


def _group(seq: Seq) -> Group:
    problem = seq.request.problem
    return Group(problem.domain, seq.max_tokens, problem.difficulty is not None)


def _difficulty(seq: Seq) -> float:
    return seq.request.problem.difficulty or 0.0
