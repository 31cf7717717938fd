"""LiveCodeBench's rows in the cache: gigabytes of tests, each problem's in a file of its own.

Reading the problems then takes megabytes; a grader reads the tests of the problem that it grades.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ablate.artifacts import Artifact, ensure
from ablate.errors import RecipeError, TrialError
from ablate.grading.judged import Cases
from ablate.sandbox import Limits
from ablate_datasets import kept, local, source
from ablate_datasets.packed_tests import unpacked
from ablate_datasets.source import Row, Source

# Six seconds for each test, as the benchmark's own runner; the clock is for all of them together.
LIMITS = Limits(cpu=6, wall=300, memory=4 << 30, output=32 << 20, disk=256 << 20)

INDEX, ABOUT = "problems.jsonl", "source.json"
TESTS = ("public_test_cases", "private_test_cases")
FORM = 1  # raised when other files are written


@dataclass(frozen=True)
class Packed:
    """Where the tests of one problem lie; called, it reads them."""

    folder: str
    place: int
    function: str | None

    def __call__(self) -> Cases:
        row = json.loads((Path(self.folder) / f"{self.place}.json").read_text(encoding="utf-8"))
        tests = _tests(row)
        return Cases(
            tuple(one["input"] for one in tests),
            tuple(one["output"] for one in tests),
            LIMITS,
            self.function,
        )


def stored(where: Source, needed: Sequence[str]) -> list[Row]:
    """The rows without their tests; with how many there are, the function's name, and where they
    lie. Raises RecipeError if they cannot be had, or a row is not as it should be.
    """
    try:
        folder = ensure(_artifact(where), lambda folder: _build(folder, where, needed))
    except TrialError as error:
        raise RecipeError([str(error)]) from None
    lines = (folder / INDEX).read_text(encoding="utf-8").split("\n")
    return [{**json.loads(line), "folder": str(folder)} for line in lines if line]


def told(where: Source) -> str:
    """What was read, for the report."""
    about = _artifact(where).path / ABOUT if where.path is None else None
    commit = json.loads(about.read_text())["commit"] if about and about.exists() else None
    return str(source.Provenance(where, commit))


def _artifact(where: Source) -> Artifact:
    inputs: dict[str, Any] = {"form": FORM, "id": where.id, "files": list(where.files)}
    inputs["revision"] = where.revision
    if where.path is not None:
        digest = hashlib.sha256()
        for file in _local(where):
            with file.open("rb") as data:
                digest.update(hashlib.file_digest(data, "sha256").digest())
        inputs["sha256"] = digest.hexdigest()
    return Artifact("livecodebench", inputs, where.id)


def _build(folder: Path, where: Source, needed: Sequence[str]) -> None:
    about: dict[str, str | None] = {"commit": None}
    with (folder / INDEX).open("w", encoding="utf-8") as index:
        for place, row in enumerate(_rows(where, about)):
            name = f"{where.path or where.id}: row {place + 1}"
            lacking = [field for field in needed if row.get(field) is None]
            if lacking:
                raise RecipeError([f"{name} has no field {lacking[0]!r}"])
            try:
                count, function = len(_tests(row)), _function(row)
            except (ValueError, RecursionError) as error:
                raise RecipeError([f"{name}: {error}"]) from None
            kept_row = {key: value for key, value in row.items() if key not in TESTS}
            kept_row |= {"tests": count, "function": function, "place": place}
            index.write(json.dumps(kept_row, default=str) + "\n")
            tests = json.dumps({field: row[field] for field in TESTS})
            (folder / f"{place}.json").write_text(tests, encoding="utf-8")
    (folder / ABOUT).write_text(json.dumps(about), encoding="utf-8")


def _rows(where: Source, about: dict[str, str | None]) -> Iterator[Mapping[str, Any]]:
    """File by file: all of them together would not fit into many a memory."""
    if where.path is not None:
        for file in _local(where):
            yield from local.read(file, where.split)
        return
    if find_spec("datasets") is None:
        raise RecipeError([f"the data set {where.id} {kept.MISSING}"])
    from ablate_datasets.hub import fetch

    for name in where.files:
        revision = about["commit"] or where.revision
        about["commit"], rows = fetch(replace(where, files=(name,), revision=revision))
        yield from rows


def _local(where: Source) -> list[Path]:
    """A file, or those of the release in a folder."""
    path = Path(where.path or "")
    if not path.is_dir():
        return local.find(path, where.split, where.config)
    files = [path / name for name in where.files]
    missing = [file.name for file in files if not file.is_file()]
    if missing:
        raise RecipeError([f"{path}: is a folder, and does not hold {', '.join(missing)}"])
    return files


def _tests(row: Row) -> list[Mapping[str, str]]:
    """Public and private tests. Raises ValueError if they are none."""
    found: list[Mapping[str, str]] = []
    for field in TESTS:
        try:
            tests = row[field] if isinstance(row[field], list) else unpacked(str(row[field]))
        except ValueError as error:
            raise ValueError(f"{field}: {error}") from None
        if not isinstance(tests, list) or not all(map(_is_test, tests)):
            raise ValueError(f"{field} must be a list of tests with input and output")
        found += tests
    if not found:
        raise ValueError("there are no tests")
    return found


def _is_test(test: object) -> bool:
    return isinstance(test, dict) and all(
        isinstance(test.get(key), str) for key in ("input", "output")
    )


def _function(row: Row) -> str | None:
    """The function that is called; None: the program reads standard input."""
    metadata = row["metadata"]
    found = json.loads(metadata) if isinstance(metadata, str) else metadata
    name = found.get("func_name") if isinstance(found, dict) else None
    if name is not None and not (isinstance(name, str) and name.isidentifier()):
        raise ValueError("metadata: func_name must be a name")
    return name
