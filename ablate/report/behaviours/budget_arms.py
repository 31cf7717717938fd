"""Which arms differ in their token budget alone.

Two kinds of budget. ``sampling.max_tokens`` cuts an answer off. A plugin's option
``max_thinking_tokens`` closes its thinking, so that an answer follows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ablate.report.arms import ArmData
from ablate.types import RunInfo

KEY = "sampling.max_tokens"
THINKING = "max_thinking_tokens"
Budgeted = tuple[tuple[int, ArmData], ...]


@dataclass(frozen=True)
class Series:
    """Arms that differ in their budget alone, with it, rising.

    ``cut``: of those that close the thinking, the arm that cuts off at the same budget.
    """

    source: str
    arms: Budgeted
    cut: Mapping[int, ArmData]


def series_of(arms: Sequence[ArmData], info: RunInfo) -> list[Series]:
    """Every series of a run."""
    return [*_cutting(arms, info), *_closing(arms, info)]


def budget_of(arm: ArmData, info: RunInfo) -> int | None:
    """Output tokens that the arm's answers may have, None in a run that does not say."""
    value = arm.info.settings.get(KEY, info.sampling.get("max_tokens"))
    return None if value is None else int(value)


def _cutting(arms: Sequence[ArmData], info: RunInfo) -> list[Series]:
    """Arms alike in everything but the token limit, where there are two limits or more."""
    groups: dict[str, list[tuple[int, ArmData]]] = {}
    for arm in arms:
        budget = budget_of(arm, info)
        if budget is not None:
            groups.setdefault(_rest(arm, arm.info.plugins), []).append((budget, arm))
    return [Series("arms", _rising(g), {}) for g in groups.values() if len(dict(g)) > 1]


def _closing(arms: Sequence[ArmData], info: RunInfo) -> list[Series]:
    """Arms alike in everything but where the thinking is closed, and the one that never does."""
    groups: dict[str, list[tuple[int, ArmData]]] = {}
    for arm in arms:
        name = _closer(arm)
        if name is not None:
            options = dict(arm.info.plugins[name])
            budget = int(options.pop(THINKING))
            alike = f"{_rest(arm, {**arm.info.plugins, name: options})} {budget_of(arm, info)}"
            groups.setdefault(alike, []).append((budget, arm))
    made = [_beside(_rising(g), arms, info) for g in groups.values()]
    return [series for series in made if len(series.arms) > 1]


def _beside(closing: Budgeted, arms: Sequence[ArmData], info: RunInfo) -> Series:
    """With the arms that close nothing: the one of the same limit, and those that cut off."""
    one = closing[0][1]
    name = _closer(one)
    rest = _rest(one, {n: o for n, o in one.info.plugins.items() if n != name})
    plain = [
        (budget, arm)
        for arm in arms
        if _closer(arm) is None
        and _rest(arm, arm.info.plugins) == rest
        and (budget := budget_of(arm, info)) is not None
    ]
    free = [(budget, arm) for budget, arm in plain if budget == budget_of(one, info)]
    wanted = {budget for budget, _ in closing}
    return Series("closed", (*closing, *free[:1]), {b: a for b, a in plain if b in wanted})


def _rest(arm: ArmData, plugins: Mapping[str, Any]) -> str:
    return f"{plugins} { {k: v for k, v in arm.info.settings.items() if k != KEY} }"


def _closer(arm: ArmData) -> str | None:
    """The plugin that closes the arm's thinking at a number of tokens."""
    return next((n for n, options in arm.info.plugins.items() if THINKING in options), None)


def _rising(group: Sequence[tuple[int, ArmData]]) -> Budgeted:
    return tuple(sorted(group, key=lambda pair: pair[0]))
