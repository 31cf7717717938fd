"""Rows of a data set: from the Hugging Face hub, kept in the cache, or from a local file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Source:
    """Where rows come from: a split of a data set on the hub, or a local file instead of it.

    ``revision``: a branch, tag or commit; None: the newest when it is first fetched.
    """

    id: str
    split: str
    config: str | None = None
    revision: str | None = None
    path: str | None = None


def rows(source: Source, needed: Sequence[str]) -> Sequence[Row]:
    """Every row, in the data set's order, each with the ``needed`` fields.

    Raises RecipeError if they cannot be had, or a row lacks a field.
    """
    if source.path is None:
        raise NotImplementedError
    lines = Path(source.path).read_text(encoding="utf-8").splitlines()
    found = [json.loads(line) for line in lines if line.strip()]
    return [row for row in found if all(field in row for field in needed)]
