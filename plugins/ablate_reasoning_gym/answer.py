r"""Where an answer stands in a text: in ``<answer>`` tags, in ``\boxed{}``, or on its last line."""

from __future__ import annotations

import re

OPEN, CLOSE = "<answer>", "</answer>"
TAGGED = re.compile(rf"{OPEN}((?:(?!{OPEN}).)*?){CLOSE}", re.DOTALL)
BOX = "\\boxed{"


def stated(text: str) -> str | None:
    """The last answer that is marked as one; None if there is none or it is empty."""
    tagged = TAGGED.findall(text)
    answer = tagged[-1].strip() if tagged else text
    return _boxed(answer) or (answer if tagged else None) or None


def last_line(text: str) -> str | None:
    """The last line that is not empty, or all that follows a tag that was never closed."""
    _, opened, rest = text.rpartition(OPEN)
    if opened and CLOSE not in rest:
        return rest.strip() or None
    lines = [line.strip() for line in text.split(CLOSE)[-1].splitlines()]
    return next((line for line in reversed(lines) if line), None)


def _boxed(text: str) -> str | None:
    """What the last box holds, with the braces inside it."""
    _, found, rest = text.rpartition(BOX)
    depth = 1 if found else 0
    for place, character in enumerate(rest):
        depth += (character == "{") - (character == "}")
        if not depth:
            return rest[:place].strip() if found else None
    return None
