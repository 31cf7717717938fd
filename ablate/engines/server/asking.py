"""What is asked of the server for one problem, and its reply as a completion."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import chain, repeat
from typing import Any, Literal

from ablate.engines.server.client import ServerError
from ablate.engines.server.counting import (
    agrees,
    token_counts,
    visible_place,
    whole_text,
)
from ablate.engines.server.exchange import Job, Stream
from ablate.engines.server.launchers import Dialect
from ablate.engines.server.reply import Drafted, Reply, read
from ablate.engines.stops import cut
from ablate.engines.text import Codebook
from ablate.thinking import THINK_CLOSE, THINK_OPEN
from ablate.types import Completion, Load, Request, Sampling

Endpoint = Literal["completions", "chat"]
PATHS: Mapping[Endpoint, str] = {"completions": "/completions", "chat": "/chat/completions"}


@dataclass
class Tally:
    """What a run's replies said of tokens; ``equal`` of ``checked`` counts are the tokenizer's."""

    requests: int = 0
    counted: int = 0
    checked: int = 0
    equal: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    says_cached: bool = False
    drafted: Drafted | None = None

    def add(self, reply: Reply, prompt: int | None, codebook: Codebook | None) -> None:
        self.requests += 1
        self.prompt_tokens += reply.prompt_tokens or 0
        if reply.cached_tokens is not None:
            self.says_cached = True
            self.cached_tokens += reply.cached_tokens
        if reply.drafted is not None:
            self.drafted = reply.drafted + self.drafted
        if reply.output_tokens is None:
            return
        self.counted += 1
        if codebook is not None:
            self.checked += 1
            right = prompt in (None, reply.prompt_tokens)
            self.equal += right and agrees(reply, codebook)

    @property
    def counters(self) -> dict[str, float]:
        """Prompt tokens looked up and found, and drafts, where the replies tell of them."""
        found: dict[str, float] = {}
        if self.says_cached:
            found |= {
                "prefix_cache_queries": self.prompt_tokens,
                "prefix_cache_hits": self.cached_tokens,
            }
        if self.drafted is not None:
            found |= {
                "spec_num_drafts": self.drafted.drafts,
                "spec_num_draft_tokens": self.drafted.tokens,
                "spec_num_accepted_tokens": self.drafted.accepted,
            }
        return found

    @property
    def sentence(self) -> str:
        """Whose token counts the records have."""
        if not self.counted:
            return "the server gives none: of the tokenizer, or one for each chunk of a stream"
        if not self.checked:
            return "the server's, not checked: the tokenizer is not here"
        return f"the server's, equal to the tokenizer's in {self.equal} of {self.checked} requests"


@dataclass(frozen=True)
class Asker:
    """Writes requests and reads replies. ``codebook`` None: the tokenizer is not here.

    ``prompts``: the tokens of each request's prompt, by its id, where the template is ours.
    """

    model: str
    endpoint: Endpoint
    dialect: Dialect
    sampling: Sampling
    codebook: Codebook | None
    tally: Tally = field(default_factory=Tally)
    prompts: dict[str, list[int]] = field(default_factory=dict)

    def jobs(self, load: Load) -> list[Job]:
        """Every request of ``load``, ready to be sent."""
        return [
            Job(
                i,
                PATHS[self._endpoint(request)],
                json.dumps(self._body(request)).encode(),
                request.arrival,
                request.pause,
            )
            for i, request in enumerate(load.requests)
        ]

    def _endpoint(self, request: Request) -> Endpoint:
        """Text that the model goes on with is no message of a chat."""
        return self.endpoint if request.problem.chat else "completions"

    def _body(self, request: Request) -> dict[str, Any]:
        body = {
            "model": self.model,
            "stream": True,
            "temperature": self.sampling.temperature,
            "top_p": self.sampling.top_p,
            "max_tokens": self.sampling.limit(request.problem),
            "seed": request.seed & 0x7FFFFFFF,
            **self.dialect.fields,
        }
        if request.problem.stop:
            body["stop"] = list(request.problem.stop)
        return body | self._stops | self._prompt(request)

    @property
    def _stops(self) -> dict[str, Any]:
        if self.codebook is None or self.dialect.stop_ids is None:
            return {}
        return {self.dialect.stop_ids: sorted(self.codebook.stop_ids)}

    def _prompt(self, request: Request) -> dict[str, Any]:
        problem = request.problem
        if self._endpoint(request) == "chat":
            return {"messages": problem.messages}
        if self.codebook is None:
            return {"prompt": problem.prompt}
        self.prompts[request.id] = ids = self.codebook.prompt(problem)
        return {
            "prompt": ids if self.dialect.token_prompts else self.codebook.as_text(problem, ids)
        }

    def completion(self, stream: Stream, request: Request) -> Completion:
        """What a stream said of its request. Raises ServerError if that makes no sense."""
        reply = read(stream.reads)
        # a chat's template is the server's own
        prompt = self.prompts.get(request.id) or list(reply.prompt_ids or ()) or None
        self._check_prompt(reply, prompt, request)
        self.tally.add(reply, len(prompt) if prompt else None, self.codebook)
        counts = token_counts(reply, self.codebook, self.dialect)
        times = tuple(chain.from_iterable(map(repeat, reply.times, counts)))
        visible = self._visible(reply, prompt, counts, request)
        return Completion(
            request_id=request.id,
            text=cut(whole_text(reply, self.codebook), request.problem.stop),
            prompt_tokens=self._prompt_tokens(reply, prompt, request),
            output_tokens=len(times),
            thinking_tokens=len(times) if visible is None else visible,
            arrival=stream.arrival,
            dispatched=stream.dispatched,
            finished=stream.finished,
            token_times=times,
            first_visible=times[visible] if visible is not None and visible < len(times) else None,
            finish_reason=reply.finish_reason or "stop",
            cached_tokens=reply.cached_tokens or 0,
        )

    def _prompt_tokens(self, reply: Reply, prompt: list[int] | None, request: Request) -> int:
        """The server's count, or what our own template makes of the prompt, or 0: nobody knows."""
        if reply.prompt_tokens is not None:
            return reply.prompt_tokens
        if prompt is None and self.codebook is not None:
            prompt = self.codebook.prompt(request.problem)
        return len(prompt or ())

    def _check_prompt(self, reply: Reply, prompt: list[int] | None, request: Request) -> None:
        sent_ids = self._endpoint(request) == "completions" and self.dialect.token_prompts
        if sent_ids and prompt and reply.prompt_tokens not in (None, len(prompt)):
            raise ServerError(
                f"the server counts {reply.prompt_tokens} prompt tokens where {len(prompt)} were "
                "sent: it serves another model, or changes prompts"
            )

    def _visible(
        self, reply: Reply, prompt: list[int] | None, counts: list[int], request: Request
    ) -> int | None:
        """Index of the first output token that a user sees."""
        if self.codebook and reply.has_ids and not any(reply.thoughts):
            return self.codebook.visible_from(prompt or [], reply.ids)
        place = visible_place(reply, self._opened(request))
        if place is None:
            return None
        chunk, before = place
        within = len(self.codebook.tokens(before)) if self.codebook and before else 0
        return sum(counts[:chunk]) + max(min(within, counts[chunk] - 1), 0)

    def _opened(self, request: Request) -> bool:
        if self.codebook is None:
            return False
        tail = self.codebook.rendered(request.problem)[-40:]
        return THINK_OPEN in tail.rpartition(THINK_CLOSE)[2]
