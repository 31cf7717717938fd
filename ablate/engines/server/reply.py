"""From the bytes of a stream to what was said, and when."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from ablate.engines.server.client import ServerError
from ablate.engines.server.events import DONE, EventParser
from ablate.types import FinishReason

BATCH = 128  # events read as one JSON list: one call is cheaper, a long one would hold the lock
SHOWN = 300


@dataclass(frozen=True)
class Drafted:
    """What speculative decoding did for a request: drafts verified, their tokens, the accepted."""

    drafts: int
    tokens: int
    accepted: int

    def __add__(self, other: Drafted | None) -> Drafted:
        if other is None:
            return self
        return Drafted(
            self.drafts + other.drafts,
            self.tokens + other.tokens,
            self.accepted + other.accepted,
        )


@dataclass
class Reply:
    """What a stream said. One entry a chunk in ``times``, ``texts``, ``thoughts`` and ``counts``.

    ``thoughts``: text that came as reasoning. ``counts``: how many tokens a chunk brought, where
    the server says so. ``ids``: the output's token ids, if each chunk with text has them.
    ``prompt_tokens`` and ``output_tokens``: from the server's usage, None where it gives none.
    """

    times: list[float] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    thoughts: list[str] = field(default_factory=list)
    counts: list[int | None] = field(default_factory=list)
    ids: list[int] = field(default_factory=list)
    prompt_ids: Sequence[int] | None = None
    finish_reason: FinishReason | None = None
    prompt_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    drafted: Drafted | None = None

    @property
    def has_ids(self) -> bool:
        return bool(self.ids) and all(n is not None for n in self.counts)


def read(reads: Sequence[tuple[float, bytes]]) -> Reply:
    """The reply in a stream's bytes. Raises ServerError if it is damaged or not complete."""
    parser = EventParser()
    events = [(time, event) for time, received in reads for event in parser.feed(received)]
    if not events or events[-1][1] != DONE:
        raise ServerError(_broken(events, parser))
    reply = Reply()
    for start in range(0, len(events) - 1, BATCH):
        batch = events[start : min(start + BATCH, len(events) - 1)]
        for (time, _), chunk in zip(batch, _json([event for _, event in batch]), strict=True):
            _add(reply, time, chunk)
    if reply.finish_reason is None:
        raise ServerError("the server ended a stream without saying why it finished")
    return reply


def _broken(events: Sequence[tuple[float, bytes]], parser: EventParser) -> str:
    for _, event in reversed(events):
        if b'"error"' in event:
            return f"the server reported an error in a stream: {_shown(event)}"
    last = parser.pending or (events[-1][1] if events else b"")
    if not last:
        return "the server ended a stream before it said anything"
    return f"the server cut a stream short; its last words: {_shown(last)}"


def _json(events: Sequence[bytes]) -> list[Any]:
    try:
        chunks: list[Any] = json.loads(b"[" + b",".join(events) + b"]")
        if len(chunks) == len(events):
            return chunks
    except ValueError:  # which also stands for text that is not UTF-8
        pass
    return [_one(event) for event in events]


def _one(event: bytes) -> Any:
    try:
        return json.loads(event)
    except ValueError:
        raise ServerError(f"the server sent what is no JSON: {_shown(event)}") from None


def _add(reply: Reply, time: float, chunk: Any) -> None:
    if not isinstance(chunk, dict) or "error" in chunk or chunk.get("object") == "error":
        raise ServerError(f"the server reported an error in a stream: {_shown(chunk)}")
    try:
        if chunk.get("choices"):
            _add_choice(reply, time, chunk["choices"][0], chunk.get("usage"))
        if chunk.get("usage"):
            _add_usage(reply, chunk["usage"])
        if chunk.get("sglext"):
            reply.drafted = _drafted(chunk["sglext"].get("spec_tokens_details"))
    except (TypeError, KeyError, AttributeError, ValueError) as error:
        raise ServerError(f"the server sent a chunk of another form: {_shown(chunk)}") from error


def _add_choice(reply: Reply, time: float, choice: dict[str, Any], usage: Any) -> None:
    delta = choice.get("delta") or choice
    ids = choice.get("token_ids")
    reply.times.append(time)
    reply.texts.append(delta.get("text") or delta.get("content") or "")
    reply.thoughts.append(delta.get("reasoning_content") or delta.get("reasoning") or "")
    if choice.get("prompt_token_ids"):
        reply.prompt_ids = choice["prompt_token_ids"]
    if ids is not None:
        reply.ids += ids
        reply.counts.append(len(ids))
    elif usage:
        reply.counts.append(usage["completion_tokens"] - (reply.output_tokens or 0))
    else:
        said = reply.texts[-1] or reply.thoughts[-1]
        reply.counts.append(None if said else 0)
    if choice.get("finish_reason"):
        reply.finish_reason = _reason(choice["finish_reason"])


def _add_usage(reply: Reply, usage: Mapping[str, Any]) -> None:
    reply.prompt_tokens = int(usage["prompt_tokens"])
    reply.output_tokens = int(usage.get("completion_tokens") or 0)
    details = usage.get("prompt_tokens_details")
    if details and details.get("cached_tokens") is not None:
        reply.cached_tokens = int(details["cached_tokens"])


def _drafted(details: Mapping[str, Any] | None) -> Drafted | None:
    """SGLang's words; the token that a draft hangs on is none of its tokens."""
    if details is None:
        return None
    names = ("spec_verify_ct", "spec_num_proposed_drafts", "spec_num_correct_drafts")
    return Drafted(*(int(details[name]) for name in names))


def _reason(given: Any) -> FinishReason:
    if given not in ("stop", "length"):
        raise ServerError(f"the server ended a request with finish_reason {given!r}")
    return cast("FinishReason", given)


def _shown(what: Any) -> str:
    text = what.decode(errors="replace") if isinstance(what, bytes) else json.dumps(what)
    return text[:SHOWN]
