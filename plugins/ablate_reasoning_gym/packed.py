"""Items as JSON: a pickle in a folder of the cache could run code when it is read."""

from __future__ import annotations

from typing import Any


def pack(value: Any) -> Any:
    """Plain values in the form that JSON keeps: only lists and tagged lists, no other containers.

    Raises TypeError for anything that is not made of numbers, texts, lists, tuples, sets and
    dictionaries.
    """
    match value:
        case None | bool() | int() | float() | str():
            return value
        case list():
            return [pack(one) for one in value]
        case tuple():
            return {"tuple": [pack(one) for one in value]}
        case set() | frozenset():
            return {"set": [pack(one) for one in sorted(value, key=repr)]}
        case dict():
            return {"dict": [[pack(key), pack(one)] for key, one in value.items()]}
        case _:
            raise TypeError(f"an item holds a {type(value).__name__}, which cannot be kept")


def unpack(packed: Any) -> Any:
    """What ``pack`` was given; frozen sets come back as sets."""
    match packed:
        case list():
            return [unpack(one) for one in packed]
        case {"tuple": ones}:
            return tuple(unpack(one) for one in ones)
        case {"set": ones}:
            return {unpack(one) for one in ones}
        case {"dict": pairs}:
            return {unpack(key): unpack(one) for key, one in pairs}
        case _:
            return packed
