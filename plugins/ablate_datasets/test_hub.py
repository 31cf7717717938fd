"""Rows of the hub, from a hub of the test's own on this machine."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import unquote, urlparse

import pytest

pytest.importorskip("datasets")

ROOT = Path(__file__).parents[2]
OLD, NEW = "a" * 40, "b" * 40
CARD = """---
configs:
- config_name: main
  data_files: [{split: test, path: test.jsonl}, {split: train, path: test.jsonl}]
- config_name: other
  data_files: [{split: test, path: other.jsonl}]
---
"""
FILES = {
    OLD: {"test.jsonl": '{"q": "1 + 1", "a": 2}\n'},
    NEW: {"test.jsonl": '{"q": "1 + 2", "a": 3}\n{"q": "\u2028", "a": 4}\n'},
}
OTHER = '{"q": "2 + 2", "a": 4}\n'

# One process for all questions: importing the library takes a second.
ASK = """
import json, sys
from ablate.errors import AblateError
from ablate_datasets.source import Source, provenance, rows

for asked in json.loads(sys.argv[1]):
    source = Source(**asked)
    try:
        said = {"rows": rows(source, ["q", "a"]), "about": str(provenance(source))}
    except AblateError as error:
        said = {"error": str(error)}
    print(json.dumps(said | {"imported": "datasets" in sys.modules}))
"""


class Hub(BaseHTTPRequestHandler):
    """As much of the hub as reading small data sets takes; answers to GET and HEAD."""

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = unquote(urlparse(self.path).path)
        for kind in ("/api/datasets/", "/datasets/"):
            if path.startswith(kind):
                owner, name, *rest = path.removeprefix(kind).split("/")
                return self.answer(f"{owner}/{name}", rest)
        return self.refuse(404, "RepoNotFound")

    def answer(self, id: str, rest: list[str]) -> None:
        what, revision, *inner = [*rest, "", ""][: max(2, len(rest))]
        commit = {"": NEW, "main": NEW, "v1": OLD}.get(revision, revision)
        if id not in ("me/sums", "me/gated", "me/folder"):
            self.refuse(404, "RepoNotFound")
        elif commit not in FILES:
            self.refuse(404, "RevisionNotFound")
        elif what == "resolve":
            self.file(id, commit, "/".join(inner))
        elif what == "tree":
            found = {"README.md": CARD, "other.jsonl": OTHER, **FILES[commit]}
            about = {"type": "file", "oid": "0", "size": 1}
            self.send([about | {"path": name} for name in found])
        else:
            self.send({"id": id, "sha": commit, "gated": id == "me/gated", "siblings": []})

    def file(self, id: str, commit: str, name: str) -> None:
        found = {"README.md": CARD, "other.jsonl": OTHER, **FILES[commit]}
        if id == "me/gated":
            self.refuse(403, "GatedRepo")
        elif name not in found:
            self.refuse(404, "EntryNotFound")
        else:
            tag = hashlib.sha256(found[name].encode()).hexdigest()
            self.send(found[name], {"X-Repo-Commit": commit, "ETag": f'"{tag}"'})

    def refuse(self, status: int, code: str) -> None:
        self.send({}, {"X-Error-Code": code}, status)

    def send(self, body: object, head: Mapping[str, str] | None = None, status: int = 200) -> None:
        data = (body if isinstance(body, str) else json.dumps(body)).encode()
        self.send_response(status)
        for key, value in {**(head or {}), "Content-Length": str(len(data))}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)


@contextmanager
def served() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Hub) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def start(folder: Path, asked: list[dict[str, Any]], **settings: str) -> subprocess.Popen[str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "ABLATE"))}
    homes = {"ABLATE_CACHE": str(folder / "kept"), "HF_HOME": str(folder / "hf")}
    paths = {"PYTHONPATH": f"{ROOT}:{ROOT / 'plugins'}"}
    return subprocess.Popen(  # noqa: S603
        [sys.executable, "-c", ASK, json.dumps(asked)],
        env=kept | homes | paths | settings,
        cwd=folder,
        stdout=subprocess.PIPE,
        text=True,
    )


def answers(process: subprocess.Popen[str]) -> list[dict[str, Any]]:
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    return [json.loads(line) for line in out.splitlines()]


MAIN = {"id": "me/sums", "config": "main", "split": "test"}
NEWEST = [{"q": "1 + 2", "a": 3}, {"q": "\u2028", "a": 4}]
WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "gated": (
        {"id": "me/gated", "config": "main", "split": "test"},
        "accept them at https://huggingface.co/datasets/me/gated, then run 'hf auth login' or set",
    ),
    "missing": ({"id": "me/none", "split": "test"}, "there is no data set me/none on the hub"),
    "revision": (MAIN | {"revision": "v3"}, "the data set me/sums has no revision 'v3'"),
    "config": (MAIN | {"config": "mian"}, "no configuration 'mian'. Did you mean 'main'?"),
    "split": (MAIN | {"split": "tset"}, "has no split 'tset'. Did you mean 'test'?"),
    "name": ({"id": "a/b/c", "split": "test"}, "'a/b/c' is not the name of a data set"),
    "file": (MAIN | {"files": ["x.jsonl"]}, "does not have all of x.jsonl"),
    "shadowed": (
        {"id": "me/folder", "split": "test"},
        "the working directory has a folder me/folder",
    ),
}


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What processes said with a hub, and afterwards without one."""
    folder = tmp_path_factory.mktemp("hub")
    (folder / "me" / "folder").mkdir(parents=True)
    right: dict[str, dict[str, Any]] = {
        "newest": MAIN,
        "old": MAIN | {"revision": "v1"},
        "file": MAIN | {"files": ["other.jsonl", "test.jsonl"]},
        "other": MAIN | {"config": "other"},
    }
    with served() as endpoint:
        questions: list[dict[str, Any]] = [*right.values(), *(asked for asked, _ in WRONG.values())]
        online = answers(start(folder, questions, HF_ENDPOINT=endpoint))
    nowhere = "http://127.0.0.1:9"
    again = start(folder, [MAIN], HF_ENDPOINT=nowhere)
    down = start(folder, [MAIN | {"split": "x"}], HF_ENDPOINT=nowhere)
    offline = start(folder, [MAIN | {"split": "x"}], HF_ENDPOINT=nowhere, HF_HUB_OFFLINE="1")
    (said,), (refused,), (switched_off,) = map(answers, (again, down, offline))
    return {
        "folder": folder,
        "right": dict(zip(right, online, strict=False)),
        "wrong": dict(zip(WRONG, online[len(right) :], strict=True)),
        "again": said,
        "down": refused,
        "offline": switched_off,
    }


def test_rows_come_from_the_hub_at_a_known_commit(told: dict[str, Any]) -> None:
    right = told["right"]
    assert right["newest"]["rows"] == NEWEST
    assert right["old"]["rows"] == [{"q": "1 + 1", "a": 2}]
    assert right["other"]["rows"] == [{"q": "2 + 2", "a": 4}]
    assert right["file"]["rows"] == [{"q": "2 + 2", "a": 4}, *NEWEST]
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in NEWEST)
    digest = hashlib.sha256(lines.encode()).hexdigest()[:12]
    assert right["newest"]["about"] == (
        f"me/sums (main, test split, revision {NEW[:12]}, sha256 {digest})"
    )
    assert f"revision {OLD[:12]}" in right["old"]["about"]


def test_what_was_fetched_is_read_without_a_network_or_the_library(told: dict[str, Any]) -> None:
    assert told["right"]["newest"]["imported"]
    assert told["again"] == told["right"]["newest"] | {"imported": False}


def test_rows_are_not_kept_as_plain_text(told: dict[str, Any]) -> None:
    files = [f for f in (told["folder"] / "kept").rglob("*") if f.is_file()]
    assert not [f for f in files if b"1 + 2" in f.read_bytes()]
    assert [f for f in files if f.suffix == ".gz" and b"1 + 2" in gzip.decompress(f.read_bytes())]


@pytest.mark.parametrize("name", WRONG)
def test_what_the_hub_refuses_is_said_in_words(told: dict[str, Any], name: str) -> None:
    assert WRONG[name][1] in told["wrong"][name]["error"]


def test_a_hub_out_of_reach_is_said_in_words(told: dict[str, Any]) -> None:
    assert told["down"]["error"].startswith("cannot reach http://127.0.0.1:9 to fetch")
    assert "run once with a connection" in told["down"]["error"]
    assert "HF_HUB_OFFLINE is set" in told["offline"]["error"]
    assert "set path: to a local copy" in told["offline"]["error"]
