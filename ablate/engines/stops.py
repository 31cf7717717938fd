"""Texts at which an output ends: found as it grows, and cut off at its end."""

from __future__ import annotations

from collections.abc import Callable, Sequence

MARGIN = 8  # tokens without text that may stand among those of a stop text
UNFINISHED = "\N{REPLACEMENT CHARACTER}"  # what a token with a part of a character decodes to


def cut(text: str, stop: Sequence[str]) -> str:
    """The text before the first stop text in it."""
    ends = [at for one in stop if (at := text.find(one)) >= 0]
    return text[: min(ends)] if ends else text


class StopTexts:
    """Tells after each token whether the output has reached a stop text.

    ``decode`` makes text of tokens. Only the last tokens are looked at, as many as a stop text can
    have, and only when the newest one can be the last of a stop text.
    """

    def __init__(self, stop: Sequence[str], decode: Callable[[Sequence[int]], str]) -> None:
        self._stop = tuple(stop)
        self._decode = decode
        self._last = {one[-1] for one in stop} | {UNFINISHED}
        self._window = max(len(one.encode()) for one in stop) + MARGIN
        self._may_end: dict[int, bool] = {}

    def reached(self, output: Sequence[int], start: int, end: int) -> bool:
        """Whether ``output[start:end]`` ends in or with one, the newest token being the last."""
        newest = output[end - 1]
        if newest not in self._may_end:
            self._may_end[newest] = not self._last.isdisjoint(self._decode([newest]))
        if not self._may_end[newest]:
            return False
        text = self._decode(output[max(start, end - self._window) : end])
        return any(one in text for one in self._stop)
