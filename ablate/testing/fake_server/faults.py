"""How a fake server fails in the middle of an answer."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator

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
