"""What each factor level does, and what two of them do together, averaged over the other factors.

Each entry is one comparison on one metric, for one domain or (``domain`` null) for all problems.
Accuracy is in shares of one; every other metric is a ratio. p-values are adjusted over the *family*
of one metric: every main effect and interaction, in every domain and over all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import log
from typing import Any

import numpy as np

from ablate import stats
from ablate.report.arms import ArmData
from ablate.report.contrasts import DOMAIN_RATIO_METRICS, RATIO_METRICS, Entry, paired_blocks
from ablate.report.noise import within_noise
from ablate.stats import Comparison, Setting
from ablate.types import RunInfo


@dataclass(frozen=True, eq=False)
class Study:
    """The arms of a run that have results (no repeats of the baseline), and its noise floor."""

    info: RunInfo
    arms: Mapping[str, ArmData]
    floor: Entry | None

    @property
    def design(self) -> dict[str, Mapping[str, str]]:
        return {name: arm.info.levels for name, arm in self.arms.items()}

    @property
    def domains(self) -> tuple[str | None, ...]:
        """All problems together, then each domain; just the first where there is only one."""
        return (None, *self.info.domains) if len(self.info.domains) > 1 else (None,)


def study(info: RunInfo, arms: Mapping[str, ArmData], floor: Entry | None) -> Study:
    usable = {n: a for n, a in arms.items() if a.blocks and not a.info.replicate}
    return Study(info, usable, floor)


def all_effects(s: Study) -> tuple[list[Entry], list[Entry]]:
    """(main effects, interactions), p-values adjusted."""
    mains = stats.main_effects(s.design)
    pairs = stats.interactions(s.design)
    found = [e for c in (*mains, *pairs) for e in _on_every_metric(s, c)]
    adjusted = _adjust(found)
    return (
        [e for e in adjusted if e["kind"] == "main"],
        [e for e in adjusted if e["kind"] == "interaction"],
    )


def unshown(s: Study) -> list[str]:
    """A sentence for every level of the recipe whose effect the arms with results cannot show."""
    planned = stats.levels_of({a.id: a.levels for a in s.info.arms})
    shown = {c.levels[0] for c in stats.main_effects(s.design)}
    return [
        f"{stats.level_name(level)}: no verdict; the arms with results do not show what it does."
        for level in planned
        if level not in shown
    ]


def _on_every_metric(s: Study, comparison: Comparison) -> list[Entry]:
    found = [effect(s, comparison, "accuracy", domain) for domain in s.domains]
    found += [effect(s, comparison, name, None) for name in RATIO_METRICS]
    found += [effect(s, comparison, m, d) for d in s.domains if d for m in DOMAIN_RATIO_METRICS]
    return found


def effect(s: Study, comparison: Comparison, metric: str, domain: str | None) -> Entry:
    """One comparison on one metric, its p-value not yet adjusted."""
    measure = _on_accuracy if metric == "accuracy" else _on_ratio
    found = measure(s, comparison, metric, domain)
    return {
        "kind": "main" if len(comparison.levels) == 1 else "interaction",
        "name": comparison.name,
        "levels": [{"factor": f, "level": label} for f, label in comparison.levels],
        "metric": metric,
        "domain": domain,
        "unit": "share" if metric == "accuracy" else "ratio",
        **found,
        "p_holm": None,
        "family_size": None,
        "within_noise": within_noise(s.floor, metric, domain, found["value"]),
        "settings": [list(setting.arms) for setting in comparison.settings],
    }


def _on_accuracy(s: Study, comparison: Comparison, _: str, domain: str | None) -> Entry:
    d = changes(s, comparison, domain)
    return asdict(stats.mean_change(d, reach=float(len(comparison.levels)))) | {
        "p_value": stats.sign_flip(d),
        "deviation": float(d.std(ddof=1)) if d.size > 1 else 0.0,
        "better": int((d > 0).sum()),
        "worse": int((d < 0).sum()),
    }


def changes(s: Study, comparison: Comparison, domain: str | None) -> stats.Floats:
    """By problem, the change of the score averaged over settings: [problems that all answered]."""
    keys = next(iter(s.arms.values())).keys
    here = keys.within(domain)
    by_setting = []
    for setting in comparison.settings:
        arms = [s.arms[name] for name in setting.arms]
        blocks = paired_blocks(*arms)
        scores = [arm.scores(b)[here] for arm, b in zip(arms, blocks, strict=True)]
        by_setting.append(stats.combine(scores, setting.signs))
    if not by_setting:
        return np.empty(0)
    return stats.by_problem(np.mean(by_setting, axis=0), keys.problem[here])


def _on_ratio(s: Study, comparison: Comparison, metric: str, domain: str | None) -> Entry:
    logs = log_changes(s, comparison, metric, domain)
    return asdict(stats.ratio_of_logs(logs)) | {
        "p_value": stats.ratio_p(logs),
        "deviation": stats.spread(logs),
        "better": None,
        "worse": None,
    }


def log_changes(s: Study, comparison: Comparison, metric: str, domain: str | None) -> list[float]:
    """By block, the log ratio averaged over settings, for blocks that every setting has.

    A setting whose arms share no block with the metric shows nothing of it and is left out.
    """
    by_setting = [_logs(s, setting, metric, domain) for setting in comparison.settings]
    known = [values for values in by_setting if values]
    blocks = sorted(set.intersection(*(set(values) for values in known))) if known else []
    return [sum(values[b] for values in known) / len(known) for b in blocks]


def _logs(s: Study, setting: Setting, metric: str, domain: str | None) -> dict[int, float]:
    """Block -> the signed sum of the arms' logs, for the blocks that all of them have."""
    found = {}
    for block in frozenset.intersection(*(s.arms[name].blocks for name in setting.arms)):
        values = [s.arms[name].metric(metric, block, domain) for name in setting.arms]
        known = [v for v in values if v]
        if len(known) == len(values):
            pairs = zip(setting.signs, known, strict=True)
            found[block] = sum(sign * log(v) for sign, v in pairs)
    return found


def _adjust(found: Sequence[Entry]) -> list[Entry]:
    """Holm's adjustment over each family. What is no random quantity is in no family."""
    families: dict[str, list[int]] = {}
    for i, e in enumerate(found):
        families.setdefault(e["metric"], []).append(i)
    adjusted = [dict(e) for e in found]
    for members in families.values():
        raw = [None if is_exact(found[i]) else found[i]["p_value"] for i in members]
        size = sum(p is not None for p in raw)
        for i, p in zip(members, stats.holm(raw), strict=True):
            adjusted[i]["p_holm"] = found[i]["p_value"] if is_exact(found[i]) else p
            adjusted[i]["family_size"] = size
    return adjusted


def is_exact(e: Mapping[str, Any]) -> bool:
    """Not a random quantity: the bytes of the weights."""
    return bool(e["metric"] == "weight_bytes")
