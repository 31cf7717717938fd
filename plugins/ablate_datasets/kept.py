"""Rows of the hub in the cache: compressed, because some authors ask not to publish plain text."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ablate.artifacts import Artifact, ensure
from ablate.errors import RecipeError, TrialError

if TYPE_CHECKING:
    from ablate_datasets.source import Source

FILE, ABOUT = "rows.jsonl.gz", "source.json"

MISSING = 'needs the packages of an extra: pip install "ablate-inference[domains]"'


def rows(source: Source) -> list[Mapping[str, Any]]:
    """The rows of a source on the hub, fetched if they never were. Raises RecipeError."""
    try:
        folder = ensure(_artifact(source), lambda folder: _fetch(source, folder))
    except TrialError as error:
        raise RecipeError([str(error)]) from None
    with gzip.open(folder / FILE, "rt", encoding="utf-8", newline="\n") as lines:
        return [json.loads(line) for line in lines]


def known(source: Source) -> tuple[str, str] | None:
    """Commit and SHA-256 of the rows that were fetched; None if they were not."""
    try:
        about = json.loads((_artifact(source).path / ABOUT).read_text(encoding="utf-8"))
        return about["commit"], about["sha256"]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _artifact(source: Source) -> Artifact:
    names = ("id", "config", "split", "revision")
    inputs = {name: getattr(source, name) for name in names} | {"files": list(source.files)}
    return Artifact("dataset", inputs, source.id)


def _fetch(source: Source, folder: Path) -> None:
    if find_spec("datasets") is None or find_spec("huggingface_hub") is None:
        raise RecipeError([f"fetching the data set {source.id} {MISSING}"])
    from ablate_datasets import hub  # heavy, and not needed once the rows are here

    commit, found = hub.fetch(source)
    sha256 = _write(found, folder / FILE)
    about = {"commit": commit, "sha256": sha256}
    (folder / ABOUT).write_text(json.dumps(about) + "\n", encoding="utf-8")


def _write(found: Iterable[Mapping[str, Any]], path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("wb") as raw, gzip.GzipFile("", "wb", fileobj=raw, mtime=0) as file:
        for row in found:
            line = json.dumps(dict(row), ensure_ascii=False, default=str).encode() + b"\n"
            digest.update(line)
            file.write(line)
    return digest.hexdigest()
