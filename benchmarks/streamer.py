"""A server that only streams: what a client can take, without a model in the way.

``python -m benchmarks.streamer [--interval 0.01]`` prints its port. Every request gets
``max_tokens`` chunks of one token, one every ``interval`` seconds, each in a write of its own, in
the form in which vLLM writes them. All streams tick together, as those of one batch do.
"""

from __future__ import annotations

import argparse
import asyncio
import json

MODEL = "streamer"
HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n"
)


def framed(payload: bytes) -> bytes:
    event = b"data: " + payload + b"\n\n"
    return b"%x\r\n%s\r\n" % (len(event), event)


class Connection(asyncio.Protocol):
    """One client connection; requests on it come one after the other."""

    def __init__(self, streams: set[Connection]) -> None:
        self._streams = streams
        self._received = b""
        self._left = 0
        self._total = 0
        self._prompt = 0
        self._chunk = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - what a TCP server makes
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, found, body = self._received.partition(b"\r\n\r\n")
        if not found:
            return
        lines = dict(line.lower().split(b":", 1) for line in head.split(b"\r\n")[1:])
        if b"100-continue" in lines.get(b"expect", b""):
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        length = int(lines.get(b"content-length", b"0"))
        if len(body) < length:
            return
        self._received = body[length:]
        self._answer(head.split(b" ", 2)[1], body[:length])

    def connection_lost(self, exc: Exception | None) -> None:
        self._streams.discard(self)

    def _answer(self, path: bytes, body: bytes) -> None:
        if b"completions" not in path:
            page = self._page(path)
            missing = b"404 Not Found" if b"metrics" in path or b"reset" in path else b"200 OK"
            head = b"HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
            self._transport.write(head % (missing, len(page)) + page)
            return
        asked = json.loads(body)
        self._left = self._total = int(
            asked.get("max_tokens") or asked.get("max_completion_tokens") or 16
        )
        prompt = asked.get("prompt", "a b c")
        self._prompt = len(prompt) if isinstance(prompt, list) else len(prompt.split())
        self._chunk = framed(json.dumps(self._body(asked, b"chat" in path)).encode())
        self._transport.write(HEAD)
        self._begin()

    def _page(self, path: bytes) -> bytes:
        models = {"object": "list", "data": [{"id": MODEL, "owned_by": "vllm"}]}
        return json.dumps(models).encode() if b"models" in path else b""

    def _begin(self) -> None:
        """A request was read."""
        self._streams.add(self)

    def _body(self, asked: dict[str, object], chat: bool) -> dict[str, object]:
        said: dict[str, object] = {"delta": {"content": " a"}} if chat else {"text": " a"}
        choice = {"index": 0, **said, "logprobs": None, "finish_reason": None, "stop_reason": None}
        if asked.get("return_token_ids"):
            choice["token_ids"] = [30]
        kind = "chat.completion.chunk" if chat else "text_completion"
        return {
            "id": "cmpl-8f1d5c9e2b7a4d3e", "object": kind, "created": 1764000000,
            "model": MODEL, "choices": [choice],
        }  # fmt: skip

    def tick(self) -> None:
        """Send one token, and the end after the last."""
        if self._transport.is_closing():
            self._streams.discard(self)
        elif self._left > 1:
            self._left -= 1
            self._transport.write(self._chunk)
        else:
            self._streams.discard(self)
            self._finish()

    def _finish(self) -> None:
        _, _, event = self._chunk.partition(b"\r\n")
        last = event.removesuffix(b"\r\n").replace(
            b'"finish_reason": null', b'"finish_reason": "length"'
        )
        usage = {
            "prompt_tokens": self._prompt,
            "completion_tokens": self._total,
            "total_tokens": self._prompt + self._total,
        }
        final = {"id": "cmpl-8f1d5c9e2b7a4d3e", "model": MODEL, "choices": [], "usage": usage}
        self._transport.write(b"%x\r\n%s\r\n" % (len(last), last))
        self._transport.write(framed(json.dumps(final).encode()) + framed(b"[DONE]"))
        self._transport.write(b"0\r\n\r\n")


async def stream(port: int, interval: float) -> None:
    streams: set[Connection] = set()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(streams), "127.0.0.1", port)
    print(server.sockets[0].getsockname()[1], flush=True)
    due = loop.time()
    while True:
        due = max(due + interval, loop.time())
        await asyncio.sleep(due - loop.time())
        for connection in list(streams):
            connection.tick()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--interval", type=float, default=0.01)
    options = parser.parse_args()
    asyncio.run(stream(options.port, options.interval))
