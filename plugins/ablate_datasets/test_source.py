"""Rows from local files: every form, and what is said of files that cannot be read."""

from __future__ import annotations

import csv
import gzip
import io
import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ablate.errors import RecipeError
from ablate_datasets.source import Source, provenance, rows

ROWS = [{"q": "1 + 1\u2028?", "a": "2"}, {"q": 'say "x,\ny"', "a": "3"}]


def source(path: Path, **more: Any) -> Source:
    return Source("me/sums", "test", path=str(path), **more)


def lines(found: list[dict[str, str]]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in found).encode()


def separated(found: list[dict[str, str]], delimiter: str = ",") -> bytes:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, ["q", "a"], delimiter=delimiter)
    writer.writeheader()
    writer.writerows(found)
    return text.getvalue().encode()


FORMS: Mapping[str, Callable[[list[dict[str, str]]], bytes]] = {
    "x.jsonl": lines,
    "x.json": lambda found: json.dumps(found).encode(),
    "x.1.json": lines,
    "list.jsonl": lambda found: json.dumps(found, indent=1).encode(),
    "data.json": lambda found: json.dumps({"version": 1, "data": found}).encode(),
    "split.json": lambda found: json.dumps({"train": [], "test": found}).encode(),
    "x.csv": separated,
    "x.tsv": lambda found: separated(found, "\t"),
    "bom.csv": lambda found: b"\xef\xbb\xbf" + separated(found),
    "bom.jsonl": lambda found: b"\xef\xbb\xbf" + lines(found),
    "x.jsonl.gz": lambda found: gzip.compress(lines(found)),
    "x.CSV.gz": lambda found: gzip.compress(separated(found)),
}


@pytest.mark.parametrize("name", FORMS)
@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20, deadline=None
)
@given(st.lists(st.fixed_dictionaries({"q": st.text(), "a": st.text()}), min_size=1))
def test_every_form_gives_the_same_rows(
    name: str, tmp_path: Path, found: list[dict[str, str]]
) -> None:
    (tmp_path / name).write_bytes(FORMS[name](found))
    assert list(rows(source(tmp_path / name), ["q", "a"])) == found


def test_parquet(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    for shard, row in enumerate(ROWS):
        path = tmp_path / "main" / f"test-0000{shard}-of-00002.parquet"
        path.parent.mkdir(exist_ok=True)
        parquet.write_table(pa.Table.from_pylist([row]), path)
    assert list(rows(source(path), ["q", "a"])) == [row]
    assert list(rows(source(tmp_path, config="main"), ["q", "a"])) == ROWS


@pytest.mark.parametrize("name", ["test.jsonl", "data/test.jsonl", "main/test.jsonl", "main.jsonl"])
def test_a_folder_is_searched_for_the_split(tmp_path: Path, name: str) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_bytes(lines(ROWS))
    (tmp_path / "train.jsonl").write_bytes(lines(ROWS[:1]))
    assert list(rows(source(tmp_path, config="main"), ["q"])) == ROWS


WRONG: dict[str, tuple[bytes, str]] = {
    "two.jsonl": (b'{"q": 1, "a": 2}\n\n{"q": 1', "line 3 is not JSON: Expecting"),
    "three.jsonl": (b"[1]\n2", "is not JSON"),
    "four.jsonl": (b'{"q": 1, "a": 2}\n[3]', "line 2 must be an object"),
    "deep.jsonl": (b'{"q": ' + b"[" * 10**6, "line 1 is nested too deeply"),
    "deep.json": (b"[" * 10**6, "is nested too deeply"),
    "digits.jsonl": (b'{"q": ' + b"9" * 10**4 + b"}", "line 1 is not JSON"),
    "broken.json": (b'[\n{"q": 1,\n]', "line 3 is not JSON"),
    "word.json": (b'"q"', "must be a list of objects"),
    "mixed.json": (b'[{"q": 1}, 2]', "must be a list of objects; number 2 is none"),
    "lists.json": (b'{"b": [], "c": []}', "one named 'test', not ['b', 'c']"),
    "none.json": (b'{"b": 1, "c": ["d"]}', "row 1 has no field 'q'; its fields: 'b', 'c'."),
    "empty.jsonl": (b"\n", "there are no rows in it"),
    "empty.csv": (b"q,a\n", "there are no rows in it"),
    "latin.jsonl": ('{"q": "é", "a": 1}'.encode("latin-1"), "is not UTF-8 (byte 7)"),
    "latin.csv": ("q,a\né,1\n".encode("latin-1"), "is not UTF-8 (byte 4)"),
    "long.csv": (b"q,a\n1,2\n1,2,3\n", "line 3 does not have the 2 fields of line 1"),
    "short.csv": (b"q,a\n1\n", "line 2 does not have the 2 fields of line 1"),
    "open.csv": (b'q,a\n"1,2\n', "is not CSV: unexpected end of data"),
    "not.jsonl.gz": (b"q", "Not a gzipped file"),
    "cut.jsonl.gz": (gzip.compress(b"q" * 99)[:-4], "Compressed file ended"),
    "flipped.jsonl.gz": (gzip.compress(b"q" * 99)[:10] + b"\xff" * 20, "Error -3"),
    "x.parquet": (b"PAR1", "file size"),
    "x.txt": (b"", "the name must end in one of .jsonl, .json, .csv, .tsv, .parquet, or one of"),
    "noending": (b"", "the name must end in one of"),
    "lacks.jsonl": (
        b'{"q": 1, "a": 2}\n{"q": 1, "aa": 2, "b": 3}',
        "row 2 has no field 'a'; its fields: 'q', 'aa', 'b'. Did you mean 'aa'?",
    ),
    "null.jsonl": (b'{"q": 1, "a": null}', "field 'a' of row 1 is null"),
    "many.jsonl": (b'{"q": 1}\n' * 5, "2 more like these"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_with_a_file_is_said(tmp_path: Path, name: str) -> None:
    if name.endswith(".parquet"):
        pytest.importorskip("pyarrow")
    (tmp_path / name).write_bytes(WRONG[name][0])
    with pytest.raises(RecipeError) as raised:
        rows(source(tmp_path / name), ["q", "a"])
    assert WRONG[name][1] in str(raised.value)
    assert all(problem.startswith(str(tmp_path / name)) for problem in raised.value.problems)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.binary(), st.sampled_from([".jsonl", ".json", ".csv", ".parquet", ".jsonl.gz"]))
def test_any_bytes_are_rows_or_refused(tmp_path: Path, data: bytes, suffix: str) -> None:
    (tmp_path / f"x{suffix}").write_bytes(data)
    try:
        found = rows(source(tmp_path / f"x{suffix}"), ["q"])
    except RecipeError:
        found = []  # anything else would be a traceback
    assert all("q" in row for row in found)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"none\.jsonl: there is no such file"):
        rows(source(tmp_path / "none.jsonl"), [])
    with pytest.raises(RecipeError, match=r"is a folder, and none of test\.jsonl, test\.json"):
        rows(source(tmp_path), [])


def test_what_was_read_is_told(tmp_path: Path) -> None:
    assert str(provenance(source(tmp_path))) == f"{tmp_path.name} (test split)"
    path = tmp_path / "test.jsonl"
    path.write_bytes(lines(ROWS))
    told = {str(provenance(source(p, config="main"))) for p in (path, tmp_path)}
    digest = provenance(source(path)).sha256
    assert digest is not None
    assert told == {
        f"test.jsonl (sha256 {digest[:12]})",
        f"{tmp_path.name} (test split, sha256 {digest[:12]})",
    }
    assert str(provenance(source(tmp_path / "none.jsonl"))) == "none.jsonl"


def test_huge_rows_are_read_quickly(tmp_path: Path) -> None:
    huge = [{"q": "x" * 10**7, "a": "1"}]
    began = time.perf_counter()
    for name in ("x.csv", "x.jsonl"):
        (tmp_path / name).write_bytes(FORMS[name](huge))
        assert list(rows(source(tmp_path / name), ["q", "a"])) == huge
    assert time.perf_counter() - began < 5
