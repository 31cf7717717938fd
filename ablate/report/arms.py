"""An arm with everything that was measured in it, as the contrasts and the report need it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ablate import stats
from ablate.metrics import Values
from ablate.report.added import NONE, Added
from ablate.report.columns import Keys, TrialData, reduce
from ablate.types import ArmInfo, RunInfo, Trial


@dataclass(frozen=True, eq=False)
class ArmData:
    """An arm's ended trials by block. ``good``: those that succeeded.

    Failed trials stay out of every estimate: the requests that they finished are the quick ones.
    """

    info: ArmInfo
    trials: Mapping[int, TrialData]
    keys: Keys
    _scores: dict[frozenset[int], stats.Floats] = field(default_factory=dict)

    @property
    def good(self) -> Mapping[int, TrialData]:
        return {b: t for b, t in self.trials.items() if t.result.status == "ok"}

    @property
    def blocks(self) -> frozenset[int]:
        """The blocks that succeeded."""
        return frozenset(self.good)

    def scores(self, blocks: frozenset[int]) -> stats.Floats:
        """Share of right answers by key over some blocks, NaN where there is none: [keys]."""
        if blocks not in self._scores:
            size = len(self.keys.names)
            right, asked = np.zeros(size), np.zeros(size)
            for trial in (self.trials[b] for b in sorted(blocks)):
                right += np.bincount(trial.key, weights=trial.correct, minlength=size)
                asked += np.bincount(trial.key, minlength=size)
            shares = np.full(size, np.nan)
            shares[asked > 0] = right[asked > 0] / asked[asked > 0]
            self._scores[blocks] = shares
        return self._scores[blocks]

    def metric(self, name: str, block: int, domain: str | None = None) -> float | None:
        """A metric of one good block, of the whole trial or of a domain's requests."""
        trial = self.good.get(block)
        values = trial and (trial.metrics if domain is None else trial.domains.get(domain, {}))
        return values.get(name) if values else None


def collect(info: RunInfo, trials: Iterable[Trial], added: Added = NONE) -> dict[str, ArmData]:
    """Every arm of the run in its order, with its trials if any ended.

    ``trials`` may be a generator: each is reduced before the next is asked for.
    """
    keys = Keys()
    ended: dict[str, dict[int, TrialData]] = {arm.id: {} for arm in info.arms}
    price = {arm.id: arm.settings.get("price", info.price) for arm in info.arms}
    for trial in trials:
        name = trial.result.arm
        ended[name][trial.result.block] = reduce(trial, keys, added, price[name])
    return {arm.id: ArmData(arm, ended[arm.id], keys) for arm in info.arms}


def baseline_id(info: RunInfo) -> str | None:
    """The arm that the others are compared with, None in a run that has none."""
    try:
        return info.baseline.id
    except StopIteration:
        return None


def describe(arm: ArmData, info: RunInfo) -> dict[str, Any]:
    """One arm for ``results.json``: what it is, how it went, what was measured."""
    good = list(arm.good.values())
    return {
        "id": arm.info.id,
        "levels": arm.info.levels,
        "plugins": arm.info.plugins,
        "settings": arm.info.settings,
        "lossless": list(arm.info.lossless),
        "replicate": arm.info.replicate,
        "status": _status(arm, info.blocks),
        "blocks": [_block(arm, block) for block in sorted(arm.trials)],
        "summary": mean_values([t.metrics for t in good]),
        "domains": {
            domain: mean_values([t.domains[domain] for t in good if domain in t.domains])
            for domain in info.domains
        },
        "accuracy": {
            "overall": _accuracy(arm, None),
            "domains": {d: _accuracy(arm, d) for d in info.domains},
        },
        "several_answers": _several(arm, info),
        "evidence": _evidence(arm),
    }


def _accuracy(arm: ArmData, domain: str | None) -> stats.Estimate:
    here = arm.keys.within(domain)
    scores = arm.scores(arm.blocks)[here]
    return stats.wilson(stats.by_problem(scores, arm.keys.problem[here]))


def _several(arm: ArmData, info: RunInfo) -> dict[str, Any] | None:
    """pass@k and majority@k by domain, averaged over blocks; None with one answer a problem."""
    if not any(sample for _, _, sample in arm.keys.names) or not arm.blocks:
        return None
    return {domain: _over_k(arm, domain) for domain in info.domains}


def _over_k(arm: ArmData, domain: str) -> dict[str, Any]:
    by_block = [stats.over_k(_answers(t, arm.keys, domain)) for t in arm.good.values()]
    return {
        kind: mean_values([found[kind] for found in by_block])
        for kind in ("pass_at_k", "majority_at_k")
    }


def _answers(trial: TrialData, keys: Keys, domain: str) -> dict[str, list[tuple[str | None, bool]]]:
    """Problem -> its answers in one block: (what was read, is it right)."""
    here = trial.of(domain, keys)
    found: dict[str, list[tuple[str | None, bool]]] = {}
    for key, read, right in zip(
        trial.key[here], trial.read[here], trial.correct[here], strict=True
    ):
        text = None if read < 0 else str(read)
        found.setdefault(keys.names[key][1], []).append((text, bool(right)))
    return found


def mean_values(blocks: Sequence[Mapping[str, float | None]]) -> Values:
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
    trial = arm.trials[block]
    result = trial.result
    return {
        "block": block,
        "status": result.status,
        "kind": result.kind,
        "message": result.message,
        "resumed": result.resumed,
        "records": trial.answers,
        "load_seconds": result.load_seconds,
        "metrics": trial.metrics,
        "domains": trial.domains,
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
