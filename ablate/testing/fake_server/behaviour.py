"""What a fake server says, and how it fails."""

from __future__ import annotations

from dataclasses import dataclass

OUTPUT = "<think>\n12 + 7 = 19\n</think>\n19"


@dataclass(frozen=True)
class Behaviour:
    """What the server does.

    ``text`` is every answer, after ``reasoning`` where it is asked as a chat; a request's
    ``max_tokens`` and ``stop`` texts are kept to. ``finish``: why an answer ends.
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
