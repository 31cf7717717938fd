"""The fake server's application: answers in the form of OpenAI's, streamed."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from aiohttp import web
from tokenizers import Tokenizer

from ablate.engines.stops import cut
from ablate.testing.fake_server.behaviour import Behaviour
from ablate.testing.fake_server.faults import strike

ENDS = ("<|im_end|>", "<|end|>")  # of the shipped models, and of tiny_model()


class Fake:
    """The server's state."""

    def __init__(self, behaviour: Behaviour) -> None:
        self.does = behaviour
        self.tokenizer = Tokenizer.from_file(str(Path(behaviour.model) / "tokenizer.json"))
        ends = map(self.tokenizer.token_to_id, ENDS)
        self.end = next((i for i in ends if i is not None), 0)
        self.requests = 0
        self.asked: list[tuple[str, dict[str, Any]]] = []  # path and body of each request
        self.flushes = 0
        self.born = time.monotonic()

    def application(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/health", self.health)
        app.router.add_get("/metrics", self.metrics)
        app.router.add_get("/v1/models", self.models)
        app.router.add_post("/flush", self.flush)
        app.router.add_post("/v1/completions", self.generate)
        app.router.add_post("/v1/chat/completions", self.generate)
        return app

    async def health(self, _: web.Request) -> web.Response:
        up = time.monotonic() - self.born >= self.does.startup
        return web.Response(status=200 if up else 503)

    async def models(self, _: web.Request) -> web.Response:
        name = self.does.served or self.does.model
        return web.json_response({"data": [{"id": name, "owned_by": "fake"}]})

    async def flush(self, _: web.Request) -> web.Response:
        self.flushes += 1
        return web.Response(text="held" if self.flushes <= self.does.held else "emptied")

    async def metrics(self, _: web.Request) -> web.Response:
        page = (
            "# TYPE fake:running gauge\n"
            'fake:running{engine="0"} 2.0\nfake:running{engine="1"} 1.0\n'
            f'fake:waiting 4\nfake:share{{engine="0",note="a b"}} 0.5\nfake:capacity 1000\n'
            f"fake:running_total 99\nfake:drafts_total {self.requests}\n"
            f"fake:hits_total {self.flushes}\n"
        )
        return web.Response(text=page)

    async def generate(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.requests += 1
        self.asked.append((request.path, body))
        fault = self.does.fault if self.requests >= self.does.strikes else ""
        if fault in ("404", "500"):
            error = {"error": {"message": f"the model says {fault}"}}
            return web.json_response(error, status=int(fault))
        if fault == "html":
            return web.Response(text="<html>bad gateway</html>", content_type="text/html")
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        async for event in self.events(body, self.prompt_tokens(body), fault):
            for piece in self.cut(event):
                await response.write(piece)
        return response

    def prompt_tokens(self, body: dict[str, Any]) -> int:
        prompt = body.get("prompt", "a chat of its own")
        ids = prompt if isinstance(prompt, list) else self.tokenizer.encode(prompt).ids
        return len(ids) + self.does.extra_prompt

    def cut(self, event: bytes) -> list[bytes]:
        size = self.does.pieces or len(event) or 1
        return [event[i : i + size] for i in range(0, len(event), size)]

    async def events(
        self, body: dict[str, Any], prompt_tokens: int, fault: str
    ) -> AsyncIterator[bytes]:
        for number, chunk in enumerate(self.chunks(body, prompt_tokens)):
            if self.does.delay:
                await asyncio.sleep(self.does.delay)
            if fault and number == self.does.after:
                async for event in strike(fault):
                    yield event
                if fault != "ping":
                    return
            yield b"data: " + json.dumps(chunk).encode() + b"\n\n"
        yield b"data: [DONE]\n\n"

    def answer(self, body: dict[str, Any]) -> tuple[list[int], list[int], str]:
        """What is thought and said, as tokens, and why it ends, as the request's limits have it."""
        thought = self.tokenizer.encode(self.does.reasoning).ids if "messages" in body else []
        text, finish = cut(self.does.text, body.get("stop", ())), self.does.finish
        said = self.tokenizer.encode(text).ids
        if text != self.does.text:
            finish = "stop"
        elif finish == "stop":
            said.append(self.end)
        left = body.get("max_tokens", len(thought) + len(said))
        if len(thought) + len(said) > left:
            finish = "length"
        return thought[:left], said[: max(left - len(thought), 0)], finish

    def chunks(self, body: dict[str, Any], prompt_tokens: int) -> list[dict[str, Any]]:
        thought, said, finish = self.answer(body)
        step, chat = self.does.together, "messages" in body
        found, count = [], 0
        for ids, is_thought in ((thought, True), (said, False)):
            for start in range(0, len(ids), step):
                part = ids[start : start + step]
                count += len(part)
                text = self.tokenizer.decode(part)
                found.append(self.chunk(part, text, chat, is_thought))
                if self.does.style == "usage":
                    found[-1]["usage"] = counted(prompt_tokens, count)
        found = found or [self.chunk([], "", chat, False)]  # the first text was a stop text
        found[-1]["choices"][0]["finish_reason"] = finish
        if self.does.style != "none":
            usage = counted(prompt_tokens, count)
            usage["prompt_tokens_details"] = {"cached_tokens": self.does.cached}
            found.append({"choices": [], "usage": usage})
        return found

    def chunk(self, ids: list[int], text: str, chat: bool, thought: bool) -> dict[str, Any]:
        choice: dict[str, Any] = {"index": 0, "finish_reason": None}
        if chat:
            choice["delta"] = {"reasoning_content" if thought else "content": text}
        else:
            choice["text"] = text
        if self.does.style == "ids":
            choice["token_ids"] = ids
        return {"object": "chunk", "choices": [choice]}


def counted(prompt: int, completion: int) -> dict[str, Any]:
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }
