"""Requests and trials made by hand, for tests of what is computed from them."""

from __future__ import annotations

from typing import Any

from ablate.types import Completion, Outcome, Record, Trial, TrialResult, Usage


def record(
    *times: float,
    arrival: float = 0.0,
    visible: float | None = None,
    domain: str = "logic",
    outcome: Outcome = "correct",
    problem: str = "p",
    difficulty: float | None = None,
    **more: Any,
) -> Record:
    """A request whose tokens came at ``times``."""
    fields: dict[str, Any] = {
        "request_id": "r",
        "text": "",
        "prompt_tokens": 10,
        "output_tokens": len(times),
        "thinking_tokens": len(times) // 2,
        "arrival": arrival,
        "dispatched": arrival,
        "finished": times[-1] if times else arrival,
        "token_times": times,
        "first_visible": visible,
        "finish_reason": "stop",
    }
    done = Completion(**fields | more)
    return Record(done, domain, problem, 0, difficulty, outcome, None, "")


def trial(*records: Record, usage: tuple[Usage, ...] = (), **result: Any) -> Trial:
    """A trial of 4 s that ended well."""
    fields: dict[str, Any] = {"arm": "a", "block": 0, "status": "ok", "running_time": 4.0}
    return Trial(TrialResult(**fields | result), records, usage)
