"""Evidence that several plugins share."""

from __future__ import annotations

from ablate.types import Evidence, EvidenceState


def drafting(plugin: str, state: EvidenceState) -> Evidence:
    """Speculative decoding took effect if drafts were verified; says how many were accepted."""
    names = ("spec_num_drafts", "spec_num_draft_tokens", "spec_num_accepted_tokens")
    drafts, tokens, accepted = (state.counters.get(n, 0.0) for n in names)
    if not drafts:
        # short warm-up answers may leave nothing to draft from
        undecided = None if state.stage == "warmup" else False
        return Evidence(plugin, undecided, "no draft was verified")
    return Evidence(
        plugin,
        True,
        f"{drafts:.0f} drafts, {accepted:.0f} of {tokens:.0f} drafted tokens accepted",
        {
            "mean_acceptance_length": 1 + accepted / drafts,
            "draft_acceptance_rate": accepted / tokens,
        },
    )
