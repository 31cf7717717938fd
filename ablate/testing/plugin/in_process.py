"""A plugin on the in-process engine, beside a baseline that serves the same."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from ablate.engines.base import Session
from ablate.engines.local import LocalEngine
from ablate.engines.local.interfaces import DecodeStep, KVStore, Scheduler
from ablate.plugins import Plugin, hooks_of
from ablate.testing.device import device
from ablate.testing.findings import Finding, bad, guarded, judged, said
from ablate.testing.plugin import asking, evidence, lossless, parts
from ablate.testing.plugin.watched import Watch, WatchedCache
from ablate.testing.serving import (
    CONCURRENCY,
    PROMPTS,
    Served,
    context_of,
    opened,
    requests,
    serve,
)
from ablate.thinking import THINK_OPEN
from ablate.types import EvidenceState, Request

SHORT = 6  # tokens of the answers of one of the two domains


def _varied(asked: Sequence[Request]) -> tuple[Request, ...]:
    """Two domains, several difficulties, short and long answers, and some that think: what a plugin
    may tell apart.
    """
    return tuple(
        replace(
            request,
            problem=replace(
                request.problem,
                domain=("arithmetic", "logic")[i % 2],
                prompt=request.problem.prompt + (THINK_OPEN if i % 4 == 2 else ""),
                difficulty=float(i % 3),
                max_tokens=SHORT if i % 2 else None,
            ),
        )
        for i, request in enumerate(asked)
    )


ASKED = _varied(requests(PROMPTS))
ALONE = ASKED[:6]  # one at a time takes long
KINDS = {"cache": KVStore, "step": DecodeStep, "scheduler": Scheduler}
ENGINE = LocalEngine(device=device(), max_num_seqs=CONCURRENCY - 1)  # so that some wait


@dataclass(frozen=True)
class Baseline:
    """The engine without the plugin: its answers one by one, together, and in another order."""

    alone: Served
    together: Served
    reordered: Served
    states: tuple[EvidenceState, EvidenceState]


def examine(plugin: Plugin, model: Path, logs: Path) -> list[Finding]:
    baseline = _baseline(model, max(file.stat().st_mtime_ns for file in model.iterdir()))
    found = _with_it(plugin, model, logs, baseline)
    for state in baseline.states:  # after it ran: what its hooks remember is no proof
        found += guarded(
            "evidence without it", evidence.negative, plugin, state, "an engine without it"
        )
    return found + parts.examine(plugin)


@lru_cache(maxsize=1)  # whoever tests several plugins has one model for them
def _baseline(model: Path, _changed: int) -> Baseline:
    with opened(ENGINE, context_of(model, model)) as session:
        return Baseline(
            alone=serve(session, ALONE, 1),
            reordered=serve(session, ASKED[::-1], CONCURRENCY),
            together=serve(session, ASKED, CONCURRENCY),
            states=(session.evidence_state("warmup"), session.evidence_state("measured")),
        )


def _with_it(plugin: Plugin, model: Path, logs: Path, baseline: Baseline) -> list[Finding]:
    watch = Watch()
    arm: dict[str, Plugin] = {"it": plugin}
    if hooks_of(plugin).get("ablate_setup_cache") != "plain":
        arm = {"watched": WatchedCache(watch), **arm}
    context = context_of(model, logs, arm)
    try:
        session = ENGINE.open(context)
    except Exception as error:  # a third party's own
        hint = "; is a `return` forgotten?" if "returned None" in str(error) else ""
        return [bad("components", f"should open with it, and raised {said(error)}{hint}")]
    with closing(session):
        return _Run(plugin, session, baseline, watch).findings()


@dataclass(frozen=True)
class _Run:
    """The plugin's own session."""

    plugin: Plugin
    session: Session
    baseline: Baseline
    watch: Watch

    def findings(self) -> list[Finding]:
        found = guarded("components", self._components)
        if not all(f.ok for f in found):
            return found
        try:
            alone, together = self._serve(found)
        except Exception as error:  # a third party's own
            return [*found, bad("serving", f"should serve, and raised {said(error)}")]
        found += judged("serving", _unserved(alone, together), f"all of {len(ASKED)} are served")
        found += guarded("lossless", self._lossless, alone, together)
        return found + guarded("needs", self._needs)

    def _serve(self, found: list[Finding]) -> tuple[Served, Served]:
        alone = serve(self.session, ALONE, 1)
        found += guarded("evidence (warmup)", self._evidence, "warmup")
        drops = asking.of(self.plugin, "local").drops
        together = serve(self.session, ASKED, 1 if "batching" in drops else CONCURRENCY)
        found += guarded("evidence (measured)", self._evidence, "measured")
        return alone, together

    def _evidence(self, stage: Any) -> Iterator[Finding]:
        return evidence.positive(self.plugin, self.session.evidence_state(stage))

    def _components(self) -> Iterator[Finding]:
        parts = self.session.evidence_state("warmup").components
        problems = [
            f"the {name} should be a {kind.__name__} (ablate.engines.local.interfaces), and is a "
            f"{type(parts[name]).__name__}"
            for name, kind in KINDS.items()
            if not isinstance(parts[name], kind)
        ]
        fine = ", ".join(f"{name} {type(part).__name__}" for name, part in parts.items())
        yield from judged("components", problems, fine)

    def _lossless(self, alone: Served, together: Served) -> Iterator[Finding]:
        base = self.baseline
        pairs = (
            lossless.Pair(1, base.alone, alone),
            lossless.Pair(CONCURRENCY, base.together, together),
        )
        floor = lossless.Pair(CONCURRENCY, base.together, base.reordered)
        return lossless.examine(self.plugin, pairs, floor)

    def _needs(self) -> Iterator[Finding]:
        needs = asking.of(self.plugin, "local").needs
        problems = [
            f"it {self.watch.seen[used]} and does not say so; return "
            f"Requirements(needs=frozenset({{{used!r}}})) from ablate_requirements, or it will be "
            "combined with a store that cannot"
            for used in sorted(set(self.watch.seen) - needs)
        ]
        fine = f"uses {', '.join(sorted(self.watch.seen)) or 'nothing that it must ask for'}"
        yield from judged("needs", problems, fine)


def _unserved(alone: Served, together: Served) -> Iterator[str]:
    for asked, served in ((ALONE, alone), (ASKED, together)):
        lacking = [r.id for r in asked if r.id not in served.completions]
        if lacking or served.twice:
            yield (
                f"every request should complete once; never completed: {lacking or 'none'}, "
                f"completed again: {served.twice or 'none'}"
            )
