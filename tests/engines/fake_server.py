"""An OpenAI-compatible server that says what it is told to, and fails as it is told to.

``python -m tests.engines.fake_server --model FOLDER --port N …``; also a launcher, ``fake``, when
this module is an entry point of the group ``ablate``.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from aiohttp import web
from tokenizers import Tokenizer

from ablate.engines.server.launchers import Dialect, Launcher
from ablate.plugins import Registry, hookimpl

ROOT = Path(__file__).parents[2]
LAST_WORDS = {
    "die": ("something broke", 7),
    "oom": ("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 1 GiB", 1),
}
SAYS = {
    "garbage": b"data: {'not': json}\n\ndata: [DONE]\n\n",
    "form": b'data: {"choices": 5}\n\ndata: [DONE]\n\n',
    "error": b'data: {"error": {"message": "the engine is dead"}}\n\n',
    "binary": b'data: {"choices": [{"text": "\xff\xfe"}]}\n\ndata: [DONE]\n\n',
    "ping": b": ping\r\n\r\n",
    "cut": b"",
}
OUTPUT = "<think>\n12 + 7 = 19\n</think>\n19"


@dataclass(frozen=True)
class Behaviour:
    """What the server does.

    ``style``: how it counts tokens (``ids``, ``usage`` by chunk, ``final`` usage, ``none``).
    ``together``: tokens in one chunk. ``pieces``: bytes in one write, 0: a chunk in each.
    ``fault`` strikes request number ``strikes`` after ``after`` chunks. ``startup``: seconds until
    it is healthy. ``dies``: it prints this and exits before it is up. ``held``: refusals to
    empty its cache.
    """

    model: str
    port: int
    host: str = "127.0.0.1"
    served: str = ""
    text: str = OUTPUT
    style: str = "ids"
    reasoning: str = ""
    finish: str = "stop"
    together: int = 1
    pieces: int = 0
    delay: float = 0.0
    extra_prompt: int = 0
    cached: int = 0
    held: int = 0
    fault: str = ""
    strikes: int = 1
    after: int = 3
    startup: float = 0.0
    dies: str = ""


class Fake:
    """The server's state."""

    def __init__(self, behaviour: Behaviour) -> None:
        self.does = behaviour
        self.tokenizer = Tokenizer.from_file(str(Path(behaviour.model) / "tokenizer.json"))
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
        chat = "messages" in body
        async for event in self.events(self.prompt_tokens(body), chat, fault):
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

    async def events(self, prompt_tokens: int, chat: bool, fault: str) -> AsyncIterator[bytes]:
        chunks = self.chunks(prompt_tokens, chat)
        for number, chunk in enumerate(chunks):
            if self.does.delay:
                await asyncio.sleep(self.does.delay)
            if fault and number == self.does.after:
                async for event in strike(fault):
                    yield event
                if fault != "ping":
                    return
            yield b"data: " + json.dumps(chunk).encode() + b"\n\n"
        yield b"data: [DONE]\n\n"

    def chunks(self, prompt_tokens: int, chat: bool) -> list[dict[str, Any]]:
        thought = self.tokenizer.encode(self.does.reasoning).ids if chat else []
        said = self.tokenizer.encode(self.does.text).ids
        end = [self.tokenizer.token_to_id("<|im_end|>") or 0] if self.does.finish == "stop" else []
        step = self.does.together
        found, count = [], 0
        for ids, is_thought in ((thought, True), ([*said, *end], False)):
            for start in range(0, len(ids), step):
                part = ids[start : start + step]
                count += len(part)
                text = self.tokenizer.decode(part)
                found.append(self.chunk(part, text, chat, is_thought))
                if self.does.style == "usage":
                    found[-1]["usage"] = counted(prompt_tokens, count)
        found[-1]["choices"][0]["finish_reason"] = self.does.finish
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


async def strike(fault: str) -> AsyncIterator[bytes]:
    """What comes instead of the rest of a stream."""
    if fault in LAST_WORDS:
        words, code = LAST_WORDS[fault]
        print(words, flush=True)
        os._exit(code)
    if fault == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if fault == "hang":
        await asyncio.sleep(3600)
    yield SAYS[fault]


def counted(prompt: int, completion: int) -> dict[str, Any]:
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }


FAKE = Launcher(
    command=(
        "{python}", "-m", "tests.engines.fake_server", "--model", "{model}", "--port", "{port}",
    ),
    dashes=False,
    booleans="value",
    env={"PYTHONPATH": str(ROOT)},
    dialect=Dialect(
        owner="fake",
        token_prompts=True,
        fields={"return_token_ids": True},
        flush="/flush",
        flushed="emptied",
        gauges={
            "fake:running": "running",
            "fake:waiting": "waiting",
            "fake:share": "kv_share",
            "fake:capacity": "kv_capacity",
        },
        counters={"fake:drafts_total": "spec_num_drafts", "fake:hits_total": "prefix_cache_hits"},
    ),
)  # fmt: skip


@hookimpl
def ablate_register(registry: Registry) -> None:
    registry.add("launcher", "fake", FAKE)


def main() -> None:
    parser = argparse.ArgumentParser()
    for each in fields(Behaviour):
        kind = {"int": int, "float": float}.get(str(each.type), str)
        parser.add_argument(f"--{each.name}", type=kind, default=each.default)
    does = Behaviour(**vars(parser.parse_args()))
    print("loading", does.model, flush=True)
    if does.dies:
        print(does.dies, flush=True)
        sys.exit(3)
    web.run_app(Fake(does).application(), host=does.host, port=does.port, print=None)


if __name__ == "__main__":
    main()
