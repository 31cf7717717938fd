"""Rows of a data set: from the Hugging Face hub, kept in the cache, or from a local file.

Rows of the hub are fetched once. Every later read, days later and in other processes, gets the same
rows from the cache and needs neither the network nor the library that fetched them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ablate.errors import RecipeError, did_you_mean
from ablate_datasets import kept, local

Row = Mapping[str, Any]

SHOWN = 3
"""Rows with something wrong that a message names."""


@dataclass(frozen=True)
class Source:
    """Where rows come from: a split of a data set on the hub, or local files instead of it.

    ``revision``: a branch, tag or commit; None: the newest when it is first fetched. ``files``: the
    repository's files that hold the split, in order, where its own description of its splits cannot
    be used (a loading script, say). ``path``: a file, or a folder with a file named after the split
    or the configuration.
    """

    id: str
    split: str
    config: str | None = None
    revision: str | None = None
    path: str | None = None
    files: tuple[str, ...] = ()


@dataclass(frozen=True)
class Provenance:
    """What was read. ``commit`` of the hub's repository; ``sha256`` of the file, or of the rows as
    JSON lines; None: not read yet, or, for ``commit``, a local file.
    """

    source: Source
    commit: str | None = None
    sha256: str | None = None

    def __str__(self) -> str:
        path = self.source.path
        parts = [self.source.config] if self.source.config and path is None else []
        if path is None or Path(path).is_dir():
            parts.append(f"{self.source.split} split")
        revision = self.commit or (None if path else self.source.revision)
        parts += [f"revision {revision[:12]}"] if revision else []
        parts += [f"sha256 {self.sha256[:12]}"] if self.sha256 else []
        name = Path(path).name if path else self.source.id
        return f"{name} ({', '.join(parts)})" if parts else name


def rows(source: Source, needed: Sequence[str]) -> Sequence[Row]:
    """Every row, in the data set's order, each with the ``needed`` fields.

    Raises RecipeError if they cannot be had, or a row lacks a field.
    """
    if source.path is not None:
        where = local.find(Path(source.path), source.split, source.config)
        found = [row for file in where for row in local.read(file, source.split)]
    else:
        found = kept.rows(source)
    name = str(source.path or source.id)
    if not found:
        raise RecipeError([f"{name}: there are no rows in it"])
    refuse(name, list(_lacking(name, found, needed)))
    return found


def refuse(name: str, problems: Sequence[str]) -> None:
    """Raise RecipeError with the first of the problems of a source's rows, if there are any."""
    more = len(problems) - SHOWN
    if problems:
        rest = [f"{name}: {more} more like these"] if more > 0 else []
        raise RecipeError([*problems[:SHOWN], *rest])


def provenance(source: Source) -> Provenance:
    """What ``rows`` read or would read now, without fetching anything."""
    if source.path is None:
        commit, sha256 = kept.known(source) or (None, None)
        return Provenance(source, commit, sha256)
    try:
        where = local.find(Path(source.path), source.split, source.config)
        digest = hashlib.sha256(b"".join(file.read_bytes() for file in where)).hexdigest()
    except (RecipeError, OSError):
        return Provenance(source)
    return Provenance(source, None, digest)


def _lacking(name: str, found: Sequence[Row], needed: Sequence[str]) -> Iterator[str]:
    for number, row in enumerate(found, 1):
        for field in needed:
            if field not in row:
                fields = ", ".join(map(repr, row)) or "none"
                guess = did_you_mean(field, row) if len(row) > 1 else ""
                hint = guess if guess.startswith(" Did") else ""
                yield f"{name}: row {number} has no field {field!r}; its fields: {fields}.{hint}"
            elif row[field] is None:
                yield f"{name}: field {field!r} of row {number} is null"
