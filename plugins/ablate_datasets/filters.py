"""Filters and the exact match of lm-evaluation-harness 0.4.13, with its corner cases."""

from __future__ import annotations

import re
import string
from collections.abc import Mapping, Sequence
from string import ascii_uppercase
from unicodedata import category

from ablate.errors import RecipeError
from ablate.types import Protocol

NO_PUNCTUATION = str.maketrans("", "", string.punctuation)


def check_filter(chosen: str | None, protocol: Protocol) -> None:
    """Raise RecipeError for a filter under a protocol that has none."""
    if chosen and protocol != "lm_eval":
        raise RecipeError(["filter is how lm_eval finds an answer; add 'protocol: lm_eval'"])


def first(pattern: re.Pattern[str], text: str) -> str | None:
    """``regex`` with ``group_select: 0``: the first match, or its first group; None if none."""
    found = pattern.search(text)
    if found is None:
        return None
    return (found[1] if pattern.groups else found[0]).strip()


def exactly(found: str | None, target: str, *, letters_only: bool = False) -> bool:
    """``exact_match``; ``letters_only``: with ``ignore_case`` and ``ignore_punctuation``."""
    one, other = (text.rstrip("\0") for text in (found or "[invalid]", target))  # as numpy holds it
    if letters_only:
        one, other = (_lower(text).translate(NO_PUNCTUATION) for text in (one, other))
    return one == other


def multi_choice(pattern: re.Pattern[str], text: str, choices: Sequence[str]) -> str | None:
    """``multi_choice_regex`` with ``group_select: -1``, ignoring case and punctuation.

    The last match; else the last choice whose text is written out; else a letter after a colon.
    """
    letters = ascii_uppercase[: len(choices)]
    by_text = {_bare(c.strip()): f"({a})" for a, c in zip(letters, choices, strict=True)}
    longest = sorted((_bare(c.strip()) for c in choices), key=len, reverse=True)
    written_out = re.compile("|".join(map(re.escape, longest)))
    after_colon = re.compile(rf":[\s]*({'|'.join(letters)})")
    return (
        _last(pattern, text, {})
        or _last(written_out, _bare(text), by_text)
        or _last(after_colon, text, {letter: f"({letter})" for letter in letters})
        or None
    )


def _last(pattern: re.Pattern[str], text: str, known: Mapping[str, str]) -> str:
    found = pattern.findall(text)
    match = str(found[-1]).strip() if found else ""
    return known.get(match, match)


def _bare(text: str) -> str:
    return "".join(c for c in text.lower() if not category(c).startswith("P"))


def _lower(text: str) -> str:
    return text.lower()[: len(text)]  # numpy keeps the width
