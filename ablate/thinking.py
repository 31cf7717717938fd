"""Where a reasoning model's thinking ends and its visible answer begins."""

from __future__ import annotations

THINK_OPEN = "<think>"
THINK_CLOSE = "</think>"


def visible_text(text: str) -> str:
    """The part of an output that a user sees: after the last ``</think>``.

    An output that opened ``<think>`` and never closed it has no visible part.
    """
    if THINK_CLOSE in text:
        return text.rsplit(THINK_CLOSE, 1)[1]
    return "" if THINK_OPEN in text else text
