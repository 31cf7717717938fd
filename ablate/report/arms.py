"""An arm with everything that was measured in it, as the contrasts and the report need it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ablate import stats
from ablate.metrics import Values, domain_metrics, trial_metrics
from ablate.types import ArmInfo, RunInfo, Trial


@dataclass(frozen=True, eq=False)
class ArmData:
    """An arm's ended trials by block, and the metrics of those that succeeded.

    Failed trials stay out of every estimate: the requests that they finished are the quick ones.
    """

    info: ArmInfo
    trials: Mapping[int, Trial]
    metrics: Mapping[int, Values]
    domains: Mapping[int, Mapping[str, Values]]
    _scores: dict[frozenset[int], dict[stats.Key, float]] = field(default_factory=dict)

    @property
    def blocks(self) -> frozenset[int]:
        """The blocks that succeeded."""
        return frozenset(self.metrics)

    def scores(self, blocks: frozenset[int]) -> dict[stats.Key, float]:
        """Scores by problem and sample over some blocks."""
        if blocks not in self._scores:
            records = (r for b in sorted(blocks) for r in self.trials[b].records)
            self._scores[blocks] = stats.scores(records)
        return self._scores[blocks]


def collect(info: RunInfo, trials: Iterable[Trial]) -> dict[str, ArmData]:
    """Every arm of the run in its order, with its trials if any ended."""
    ended: dict[str, dict[int, Trial]] = {arm.id: {} for arm in info.arms}
    for trial in trials:
        ended[trial.result.arm][trial.result.block] = trial
    return {arm.id: _measure(arm, ended[arm.id]) for arm in info.arms}


def _measure(info: ArmInfo, trials: Mapping[int, Trial]) -> ArmData:
    good = {b: t for b, t in trials.items() if t.result.status == "ok"}
    return ArmData(
        info,
        trials,
        {b: trial_metrics(t) for b, t in good.items()},
        {b: domain_metrics(t) for b, t in good.items()},
    )


def baseline_id(info: RunInfo) -> str | None:
    """The arm that the others are compared with, None in a run that has none."""
    try:
        return info.baseline.id
    except StopIteration:
        return None


def of_domain(scores: Mapping[stats.Key, float], domain: str) -> dict[stats.Key, float]:
    return {key: score for key, score in scores.items() if key[0] == domain}


def describe(arm: ArmData, info: RunInfo) -> dict[str, Any]:
    """One arm for ``results.json``: what it is, how it went, what was measured."""
    scores = arm.scores(arm.blocks)
    return {
        "id": arm.info.id,
        "levels": arm.info.levels,
        "plugins": arm.info.plugins,
        "settings": arm.info.settings,
        "replicate": arm.info.replicate,
        "status": _status(arm, info.blocks),
        "blocks": [_block(arm, block) for block in sorted(arm.trials)],
        "summary": mean_values(list(arm.metrics.values())),
        "domains": {
            domain: mean_values([by[domain] for by in arm.domains.values() if domain in by])
            for domain in info.domains
        },
        "accuracy": {
            "overall": stats.accuracy(scores),
            "domains": {d: stats.accuracy(of_domain(scores, d)) for d in info.domains},
        },
        "evidence": _evidence(arm),
    }


def mean_values(blocks: Sequence[Values]) -> Values:
    """The mean over blocks of each metric, over the blocks that have it."""
    found: Values = {}
    for name in dict.fromkeys(name for block in blocks for name in block):
        known = [v for block in blocks if (v := block.get(name)) is not None]
        found[name] = sum(known) / len(known) if known else None
    return found


def _status(arm: ArmData, planned: int) -> str:
    failed = len(arm.trials) - len(arm.blocks)
    if failed:
        return "partly failed" if arm.blocks else "failed"
    if len(arm.trials) < planned:
        return "unfinished" if arm.trials else "not run"
    return "ok"


def _block(arm: ArmData, block: int) -> dict[str, Any]:
    result = arm.trials[block].result
    return {
        "block": block,
        "status": result.status,
        "kind": result.kind,
        "message": result.message,
        "resumed": result.resumed,
        "records": len(arm.trials[block].records),
        "load_seconds": result.load_seconds,
        "metrics": arm.metrics.get(block, {}),
        "domains": arm.domains.get(block, {}),
    }


def _evidence(arm: ArmData) -> list[dict[str, Any]]:
    """What each plugin showed last: the latest stage of the latest block that heard of it."""
    latest: dict[str, dict[str, Any]] = {}
    for block in sorted(arm.trials):
        for e in arm.trials[block].result.evidence:
            latest[e.plugin] = {
                "plugin": e.plugin,
                "applied": e.applied,
                "detail": e.detail,
                "numbers": e.numbers,
                "block": block,
            }
    return list(latest.values())
