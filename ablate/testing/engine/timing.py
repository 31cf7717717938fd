"""When requests are sent, and that times are in order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

from ablate.engines.base import Session
from ablate.testing.findings import Finding, judged
from ablate.testing.serving import PROMPTS, Served, requests, serve
from ablate.types import Completion, Request, Usage

TOGETHER = 2
GAP = 0.03  # s between arrivals
HALF = PROMPTS[:6]


def closed_loop(session: Session) -> Iterator[Finding]:
    asked = requests(HALF)
    served = serve(session, asked, TOGETHER)
    done = list(served.completions.values())
    problems = [*_complete(asked, served), *_ordered(done), *_sampled(served.usage)]
    spans = [(c.dispatched, c.finished) for c in done]
    most = max((sum(a <= start < b for a, b in spans) for start, _ in spans), default=0)
    if most > TOGETHER:
        problems.append(f"should have at most {TOGETHER} in flight at once, and had {most}")
    yield from judged("closed loop", problems, f"{len(done)} served, {most} at once")


def open_loop(session: Session) -> Iterator[Finding]:
    asked = [replace(r, arrival=GAP * i) for i, r in enumerate(requests(HALF))]
    served = serve(session, asked, None)
    done = served.completions
    problems = [*_complete(asked, served), *_ordered(list(done.values()))]
    for request in asked:
        completion = done.get(request.id)
        if completion is not None and completion.arrival != request.arrival:
            problems.append(
                f"arrival should be the scheduled {request.arrival} of the request, and is "
                f"{completion.arrival}"
            )
    yield from judged("open loop", problems, f"{len(done)} served, each after its arrival")


def _complete(asked: Sequence[Request], served: Served) -> Iterator[str]:
    lacking = [r.id for r in asked if r.id not in served.completions]
    if lacking or served.twice:
        yield (
            "every request should complete once; never completed: "
            f"{lacking or 'none'}, completed again: {served.twice or 'none'}"
        )
    strangers = set(served.completions) - {r.id for r in asked}
    if strangers:
        yield f"request_id should be that of a request, and {sorted(strangers)} are of none"


def _ordered(done: Sequence[Completion]) -> Iterator[str]:
    for c in done:
        if len(c.token_times) != c.output_tokens:
            yield (
                f"token_times should have an entry for each of {c.output_tokens} output tokens, "
                f"and has {len(c.token_times)}"
            )
        times = [c.arrival, c.dispatched, *c.token_times, c.finished]
        if any(later < one for one, later in pairwise(times)):
            yield (
                "arrival, dispatched, token_times and finished should be in this order, and are "
                f"{[round(t, 4) for t in times]}"
            )
        if c.first_visible is not None and c.first_visible not in c.token_times:
            yield f"first_visible should be one of token_times, and is {c.first_visible}"
        if not 0 <= c.thinking_tokens <= c.output_tokens:
            yield f"thinking_tokens ({c.thinking_tokens}) should be within output_tokens"


def _sampled(usage: Sequence[Usage]) -> Iterator[str]:
    if any(later.time < one.time for one, later in pairwise(usage)):
        yield "samples of usage should come in the order of their times"
