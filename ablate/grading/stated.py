r"""Where an output says that something is its answer: in ``\boxed{}``, or after "the answer is".

All of it takes time in proportion to the text, however long it is and whatever is left open in it.
"""

from __future__ import annotations

import re

OPEN_BOX = re.compile(r"\\(?:boxed|fbox)(?![A-Za-z])")

# In this order: a box with braces, one around a word, anything escaped, and bare braces.
PIECE = re.compile(
    OPEN_BOX.pattern + r"\s*(?:(?P<box>\{)|(?P<word>[^\s${}\\]+))|\\.|(?P<open>\{)|(?P<close>\})",
    re.DOTALL,
)

MARKER = re.compile(
    r"\b(?:(?:final|the|my|our|correct|right|best) answer[*]*[ \t]{0,3}is\b[ \t]{0,3}:?"
    r"|answer[*]*[ \t]{0,3}[:\uff1a])",
    re.IGNORECASE,
)

# How solutions in the style of Minerva's prompt end.
HOPE = ". I hope it is correct"

BEFORE, AFTER = frozenset(' \t\r*$`":\uff1a'), frozenset(' \t\r*$`".,;:!')
OPENING, CLOSING = ("\\(", "\\["), ("\\)", "\\]")


def boxed(text: str) -> str | None:
    r"""What the last complete ``\boxed{...}`` or ``\fbox{...}`` holds, braces and all.

    ``\boxed 5`` is read, too. A box with nothing in it is passed over; of nested ones the innermost
    counts. None if there is no box.
    """
    first = OPEN_BOX.search(text)
    if first is None:
        return None
    spans: list[tuple[int, int]] = []  # kept as places: nested contents would add up to a square
    opened: list[int | None] = []  # where the content of each open box begins; None: a mere brace
    for piece in PIECE.finditer(text, first.start()):
        if piece["word"]:
            spans.append(piece.span("word"))
        elif piece["box"] or piece["open"]:
            opened.append(piece.end() if piece["box"] else None)
        elif piece["close"] and opened:
            start = opened.pop()
            if start is not None:
                spans.append((start, piece.start()))
    spans.sort(reverse=True)
    contents = (text[start:end].strip().rstrip(".,;: ") for start, end in spans)
    return next((content for content in contents if content), None)


def after_marker(text: str) -> str | None:
    """What follows the last "final answer is", "the answer is" or "Answer:" on its line.

    Where nothing more stands on that line, the next line that is not empty counts. Emphasis, dollar
    signs, quotes and closing punctuation are taken off both ends. None if nothing is so marked.
    """
    end = len(text)
    for marker in reversed(list(MARKER.finditer(text))):
        lines = text[marker.end() : end].splitlines()
        stated = next((s for s in map(clean, lines) if s), None)
        if stated:
            return stated
        end = marker.start()
    return None


def clean(line: str) -> str:
    """A line without emphasis, math delimiters, quotes and closing punctuation around it."""
    line = line.partition(HOPE)[0]
    start, end = 0, len(line)
    while start < end and (line[start] in BEFORE or line.startswith(OPENING, start)):
        start += 1 if line[start] in BEFORE else 2
    while start < end and (line[end - 1] in AFTER or line.endswith(CLOSING, start, end)):
        end -= 1 if line[end - 1] in AFTER else 2
    return line[start:end].strip()
