"""Rows from a file: JSON lines, JSON, CSV or Parquet, also compressed with gzip."""

from __future__ import annotations

import csv
import gzip
import io
import json
import sys
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ablate.errors import RecipeError

Rows = list[Mapping[str, Any]]

PARQUET = 'reading Parquet needs pyarrow: pip install "ablate-inference[parquet]"'


def find(path: Path, split: str, config: str | None) -> list[Path]:
    """The files that hold a split: the path itself, or those of a folder named after the split.

    A clone of the hub's repository will do: shards (``test-00000-of-00002.parquet``), a folder for
    each configuration, files in ``data``. Raises RecipeError if there is none.
    """
    path = path.expanduser()
    if not path.exists():
        raise RecipeError([f"{path}: there is no such file; path must name a file with the rows"])
    if not path.is_dir():
        return [path]
    inner = path / config if config else path
    places = [
        (folder, split) for folder in dict.fromkeys((inner, inner / "data", path, path / "data"))
    ]
    places += [(path, config)] if config else []
    found = next((files for folder, stem in places if (files := _named(folder, stem))), None)
    if found is None:
        known = ", ".join(f"{split}{suffix}" for suffix in READERS)
        raise RecipeError([f"{path}: is a folder, and none of {known} lies in it"])
    return found


def _named(folder: Path, stem: str) -> list[Path]:
    """A file of that name and a known ending, or its shards in order."""
    for ending in (f"{suffix}{gz}" for suffix in READERS for gz in ("", ".gz")):
        if (folder / f"{stem}{ending}").is_file():
            return [folder / f"{stem}{ending}"]
        shards = sorted(folder.glob(f"{stem}-[0-9]*{ending}"))
        if shards:
            return shards
    return []


def read(path: Path, split: str = "") -> Rows:
    """All rows of a file. Raises RecipeError saying what is wrong with it, and in which line.

    ``split``: which list of a JSON object that holds several.
    """
    try:
        suffixes = [suffix.lower() for suffix in path.suffixes]
        packed = suffixes[-1:] == [".gz"]
        suffix = suffixes[-2 if packed else -1] if len(suffixes) > packed else ""
        reader = READERS.get(suffix)
        if reader is None:
            known = ", ".join(READERS)
            raise ValueError(f"the name must end in one of {known}, or one of them and .gz")
        data = path.read_bytes()
        return reader(gzip.decompress(data) if packed else data, split)
    except UnicodeDecodeError as error:
        problem = f"is not UTF-8 (byte {error.start}); convert it to UTF-8"
    except RecursionError:
        problem = "is nested too deeply to be read"
    except (OSError, EOFError, ValueError, csv.Error, zlib.error) as error:
        problem = str(error).strip().split("\n")[0]
    raise RecipeError([f"{path}: {problem}"])


def _jsonl(data: bytes, split: str) -> Rows:
    text = data.decode("utf-8-sig")
    if text.lstrip()[:1] == "[":
        return _json(data, split)
    # Not splitlines(): text within JSON may hold separators that it takes for the end of a line.
    return [_row(line, number) for number, line in enumerate(text.split("\n"), 1) if line.strip()]


def _row(line: str, number: int) -> Mapping[str, Any]:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise ValueError(f"line {number} is not JSON: {error}") from None
    except RecursionError:
        raise ValueError(f"line {number} is nested too deeply to be read") from None
    if not isinstance(row, dict):
        raise ValueError(f"line {number} must be an object with the fields of a row: {{...}}")
    return row


def _json(data: bytes, split: str) -> Rows:
    text = data.decode("utf-8-sig")
    try:
        found = json.loads(text)
    except json.JSONDecodeError as error:
        if error.msg == "Extra data" and text.lstrip()[:1] == "{":
            return _jsonl(data, split)  # many files on the hub called .json are JSON lines
        raise ValueError(f"line {error.lineno} is not JSON: {error.msg}") from None
    if isinstance(found, dict):
        found = _list_in(found, split)
    for number, row in enumerate(found if isinstance(found, list) else [None], 1):
        if not isinstance(row, dict):
            raise ValueError(f"must be a list of objects; number {number} is none")
    return list(found)


def _list_in(found: Mapping[str, Any], split: str) -> Any:
    """The list of rows in an object such as ``{"data": [...]}``; without one it is a row itself."""
    lists = {key: value for key, value in found.items() if _is_rows(value)}
    if len(lists) > 1 and split not in lists:
        raise ValueError(f"must hold one list of rows, or one named {split!r}, not {list(lists)}")
    return lists[split] if split in lists else next(iter(lists.values()), [found])


def _is_rows(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(row, dict) for row in value)


def _separated(delimiter: str) -> Callable[[bytes, str], Rows]:
    def separated(data: bytes, _: str) -> Rows:
        lines = io.StringIO(data.decode("utf-8-sig"), newline="")
        before = csv.field_size_limit(sys.maxsize)  # 128 KiB, which a test case can exceed
        try:
            return list(_fitting(csv.DictReader(lines, delimiter=delimiter, strict=True)))
        finally:
            csv.field_size_limit(before)

    return separated


def _fitting(reader: csv.DictReader[str]) -> Iterator[Mapping[str, Any]]:
    try:
        for row in reader:
            if None in row or None in row.values():
                width = len(reader.fieldnames or ())
                raise ValueError(
                    f"line {reader.line_num} does not have the {width} fields of line 1"
                )
            yield row
    except csv.Error as error:
        raise ValueError(f"line {reader.line_num} is not CSV: {error}") from None


def _parquet(data: bytes, _: str) -> Rows:
    try:
        from pyarrow import BufferReader, parquet
    except ImportError:
        raise ValueError(PARQUET) from None
    found: Sequence[Mapping[str, Any]] = parquet.read_table(BufferReader(data)).to_pylist()
    return list(found)


READERS: Mapping[str, Callable[[bytes, str], Rows]] = {
    ".jsonl": _jsonl,
    ".json": _json,
    ".csv": _separated(","),
    ".tsv": _separated("\t"),
    ".parquet": _parquet,
}
