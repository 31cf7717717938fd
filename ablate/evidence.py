"""Evidence that several plugins share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ablate.types import EngineFacts, Evidence, EvidenceState


def drafting(plugin: str, state: EvidenceState) -> Evidence:
    """Speculative decoding took effect if drafts were verified; says how many were accepted."""
    names = ("spec_num_drafts", "spec_num_draft_tokens", "spec_num_accepted_tokens")
    drafts, tokens, accepted = (state.counters.get(n, 0.0) for n in names)
    if not drafts:
        # short warm-up answers may leave nothing to draft from
        counted = "spec_num_drafts" in state.counters
        detail = "no draft was verified" if counted else "the engine does not count drafts"
        return Evidence(plugin, undecided(state), detail)
    return Evidence(
        plugin,
        True,
        f"{drafts:.0f} drafts, {accepted:.0f} of {tokens:.0f} drafted tokens accepted",
        {
            "mean_acceptance_length": 1 + accepted / drafts,
            "draft_acceptance_rate": accepted / tokens if tokens else 0.0,
        },
    )


def evicting(plugin: str, state: EvidenceState, most: int) -> Evidence:
    """A KV store that keeps ``most`` tokens of a sequence took effect if it evicted any.

    Where every sequence is shorter, its arm would be the baseline under another name.
    """
    evicted, written = (
        state.counters.get(f"kv_{what}_tokens", 0.0) for what in ("evicted", "written")
    )
    if not evicted:
        detail = f"no sequence had more than {most} tokens, so none was evicted"
        return Evidence(plugin, undecided(state), detail)
    return Evidence(
        plugin,
        True,
        f"{evicted:.0f} of {written:.0f} tokens evicted, to keep {most} of a sequence",
        {"kv_evicted_tokens": evicted, "kv_evicted_share": evicted / written},
    )


def resolved(plugin: str, state: EvidenceState, asked: Mapping[str, Any]) -> Evidence:
    """Engine arguments took effect if the engine itself says that it has the values asked for.

    ``asked``: the values by the names that its back end gives them.
    """
    settings = told(state)
    known = {name: settings[name] for name in asked if settings.get(name) is not None}
    texts = [
        f"{name} is {known[name]}, asked for {value}"
        if name in known
        else f"the engine does not say what its {name} is"
        for name, value in asked.items()
    ]
    applied: bool | None = all(same(value, asked[name]) for name, value in known.items())
    if applied and len(known) < len(asked):
        applied = undecided(state)
    numbers = {n: float(v) for n, v in known.items() if type(v) in (int, float)}
    return Evidence(plugin, applied, "; ".join(texts), numbers)


def told(state: EvidenceState) -> Mapping[str, Any]:
    """The settings as an engine that owns its loop resolved them; empty if it does not say."""
    facts = state.components.get("facts")
    return facts.settings if isinstance(facts, EngineFacts) else {}


def same(setting: Any, asked: Any) -> bool:
    """Whether a setting is what was asked for; some engines report every value as text."""
    return bool(setting == asked or str(setting) == str(asked))


def undecided(state: EvidenceState) -> bool | None:
    """What a plugin that cannot show its effect says: wait while there is more to come, then no."""
    return None if state.stage == "warmup" else False
