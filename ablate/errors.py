"""The two kinds of failure a user sees as one message instead of a traceback."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

OUT_OF_MEMORY = (
    "out of memory",
    "outofmemoryerror",
    "can't allocate memory",
    "cannot allocate memory",
    "std::bad_alloc",
    "no available memory for the cache blocks",  # vLLM
)


class AblateError(Exception):
    """Something the user can act on; the command line prints it and exits with ``exit_code``."""

    exit_code = 2


class RecipeError(AblateError):
    """One or more problems in what the user wrote, all reported at once."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


class TrialError(AblateError):
    """An arm cannot be run, or did not do what was asked of it; other arms go on.

    ``kind`` is the recorded reason: ``error``, ``evidence``, ``out_of_memory``, ``timeout`` or
    ``killed``.
    """

    def __init__(self, message: str, kind: str = "error") -> None:
        super().__init__(message)
        self.kind = kind


def says_out_of_memory(text: str) -> bool:
    """Whether a library's message, or a log's end, is about memory that could not be had."""
    return any(words in text.lower() for words in OUT_OF_MEMORY)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """``" Did you mean 'x'?"`` for the nearest known word, or the list of them, or nothing."""
    names = sorted(known)
    close = get_close_matches(word, names, n=1, cutoff=0.6)
    if close:
        return f" Did you mean {close[0]!r}?"
    return f" Known: {', '.join(names)}." if names else ""
