"""Answers that an arm turned from right to wrong, or from wrong to right, with both texts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest

from ablate.report.html.views import Answer, ArmView, Key

MOST = 240
"""Flips on the page."""
MOST_TEXT = 6_000
"""Characters of one text on the page: its beginning and its end."""


@dataclass(frozen=True)
class Side:
    """One answer. ``same`` is the beginning that both texts share, ``rest`` what follows."""

    arm: str
    block: int
    answer: Answer
    same: str
    rest: str


@dataclass(frozen=True)
class Flip:
    """One problem that two arms answered differently."""

    arm: str
    domain: str
    problem: str
    sample: int
    lost: bool
    baseline: Side
    other: Side

    @property
    def direction(self) -> str:
        return "right → wrong" if self.lost else "wrong → right"


@dataclass(frozen=True)
class Flips:
    """Those shown, and of how many; ``partial``: only a part of the answers was looked through."""

    shown: tuple[Flip, ...]
    total: int
    partial: bool


def find_flips(views: Sequence[ArmView], baseline: str | None) -> Flips:
    """Flips against the baseline, from one block an arm; of many, some of every kind."""
    own = next((v for v in views if v.id == baseline and v.answers), None)
    if own is None:
        return Flips((), 0, False)
    found: dict[tuple[str, str, bool], list[Key]] = {}
    known = sorted(views, key=lambda v: v.info.replicate)  # repeats of the baseline last
    others = {v.id: v for v in known if v.id != baseline and v.answers}
    for view in others.values():
        for key, lost in _changed(own.answers or {}, view.answers or {}):
            found.setdefault((view.id, key[0], lost), []).append(key)
    kinds = [[(arm, key) for key in keys] for (arm, _, _), keys in found.items()]
    chosen = list(_in_turn(kinds))[:MOST]
    flips = [_flip(own, others[arm], key) for arm, key in chosen]
    order = {name: place for place, name in enumerate(others)}
    flips.sort(key=lambda f: (order[f.arm], f.domain, not f.lost, _natural(f.problem)))
    partial = any(v.answers_total > len(v.answers or {}) for v in [own, *others.values()])
    return Flips(tuple(flips), sum(map(len, kinds)), partial)


def _changed(
    baseline: Mapping[Key, Answer], arm: Mapping[Key, Answer]
) -> Iterator[tuple[Key, bool]]:
    """(key, was it lost) of the answers whose correctness differs."""
    for key, answer in arm.items():
        before = baseline.get(key)
        if before and (before.outcome == "correct") != (answer.outcome == "correct"):
            yield key, before.outcome == "correct"


def _in_turn(kinds: Iterable[Sequence[tuple[str, Key]]]) -> Iterator[tuple[str, Key]]:
    """One of each kind, then the next of each: rare kinds are not crowded out."""
    return (item for item in chain.from_iterable(zip_longest(*kinds)) if item is not None)


def _natural(name: str) -> tuple[int, str]:
    return (int(name), "") if name.isdecimal() else (0, name)


def _flip(own: ArmView, view: ArmView, key: Key) -> Flip:
    before, after = (own.answers or {})[key], (view.answers or {})[key]
    shared = _shared(before.text, after.text)
    return Flip(
        arm=view.id,
        domain=key[0],
        problem=key[1],
        sample=key[2],
        lost=before.outcome == "correct",
        baseline=_side(own, before, shared),
        other=_side(view, after, shared),
    )


def _shared(one: str, other: str) -> int:
    """Characters at the beginning that two texts have in common."""
    both = zip(one, other, strict=False)
    return next((i for i, (a, b) in enumerate(both) if a != b), min(len(one), len(other)))


def _side(view: ArmView, answer: Answer, shared: int) -> Side:
    same, rest = shorten(answer.text, shared)
    return Side(view.id, view.answers_block, answer, same, rest)


def shorten(text: str, shared: int) -> tuple[str, str]:
    """(what is shared, what follows), each cut in its middle to half of ``MOST_TEXT``."""
    return _cut(text[:shared]), _cut(text[shared:])


def _cut(text: str) -> str:
    half = MOST_TEXT // 4
    if len(text) <= 2 * half:
        return text
    return f"{text[:half]}\n… {len(text) - 2 * half:,} characters left out …\n{text[-half:]}"
