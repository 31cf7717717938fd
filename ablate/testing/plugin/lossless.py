"""Whether greedy answers are the baseline's, up to what two baselines differ by."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ablate.plugins import Plugin
from ablate.testing.findings import Finding, bad, good
from ablate.testing.serving import Served


@dataclass(frozen=True)
class Pair:
    """The same requests served twice, ``concurrency`` at once."""

    concurrency: int
    one: Served
    other: Served

    @property
    def differing(self) -> list[str]:
        """Requests whose answers are not the same text of the same length."""
        one, other = self.one.answers, self.other.answers
        return [i for i in one if one[i] != other.get(i)]


def examine(plugin: Plugin, pairs: Sequence[Pair], floor: Pair) -> Iterator[Finding]:
    noise = len(floor.differing)
    for pair in pairs:
        total, differing = len(pair.one.answers), pair.differing
        seen = (
            f"{len(differing)} of {total} greedy answers in float32 differ from the baseline's at "
            f"concurrency {pair.concurrency}, {noise} between two baselines"
        )
        if not plugin.lossless:
            yield good("lossless", f"not claimed; {seen}")
        elif len(differing) <= noise:
            yield good("lossless", seen)
        else:
            yield bad("lossless", f"{seen}; {_first(pair)}; do not claim lossless, or find out why")


def _first(pair: Pair) -> str:
    first = pair.differing[0]
    one, other = pair.one.answers[first], pair.other.answers.get(first)
    return f"request {first} should be {one[0]!r}, and is {other[0] if other else None!r}"
