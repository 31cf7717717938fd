"""Artefacts: made once, found by what they are made from, checked whenever they are read."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from ablate import artifacts
from ablate.artifacts import MANIFEST, Artifact, ensure, run_module, source_folder
from ablate.errors import TrialError
from ablate.types import ModelSpec

INPUTS = {"source": {"model.safetensors": "ab"}, "options": {"bits": 4}, "versions": {"torch": "2"}}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "cache"
    monkeypatch.setenv("ABLATE_CACHE", str(root))
    return root


def fill(folder: Path) -> None:
    (folder / "config.json").write_text("{}")
    (folder / "deep").mkdir()
    (folder / "deep" / "model.safetensors").write_bytes(b"weights")


def test_the_cache_is_where_the_variable_says_or_in_the_home(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert artifacts.cache_root() == cache
    monkeypatch.setenv("ABLATE_CACHE", "")
    monkeypatch.setenv("HOME", "/home/someone")
    assert artifacts.cache_root() == Path("/home/someone/.cache/ablate")


def test_every_input_changes_the_name_and_their_order_does_not() -> None:
    here = Artifact("awq", INPUTS)
    others = [
        Artifact("gptq", INPUTS),
        Artifact("awq", {**INPUTS, "options": {"bits": 8}}),
        Artifact("awq", {**INPUTS, "source": {"model.safetensors": "cd"}}),
        Artifact("awq", {**INPUTS, "versions": {"torch": "3"}}),
    ]
    assert len({a.path for a in [here, *others]}) == 5
    assert Artifact("awq", dict(reversed(INPUTS.items()))).path == here.path


def test_an_artefact_is_built_once(cache: Path) -> None:
    artifact = Artifact("awq", INPUTS)
    built = []

    def build(folder: Path) -> None:
        built.append(folder)
        fill(folder)

    first, second = ensure(artifact, build), ensure(artifact, build)
    assert first == second == artifact.path
    assert first.parent == cache / "artifacts"
    assert len(built) == 1
    manifest = json.loads((first / MANIFEST).read_text())
    assert manifest["inputs"] == INPUTS
    assert set(manifest["files"]) == {"config.json", "deep/model.safetensors"}


def test_two_who_want_the_same_one_build_it_once() -> None:
    built = []

    def build(folder: Path) -> None:
        built.append(folder)
        time.sleep(0.2)
        fill(folder)

    def want() -> None:
        ensure(Artifact("awq", INPUTS), build)

    threads = [threading.Thread(target=want) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(built) == 1


def test_a_failed_build_leaves_nothing_and_can_be_tried_again(cache: Path) -> None:
    def fail(folder: Path) -> None:
        fill(folder)
        raise TrialError("no memory")

    artifact = Artifact("awq", INPUTS)
    with pytest.raises(TrialError, match="no memory"):
        ensure(artifact, fail)
    assert [f for f in (cache / "artifacts").iterdir() if f.is_dir()] == []
    assert ensure(artifact, fill).is_dir()


def test_what_a_killed_build_left_is_replaced() -> None:
    artifact = Artifact("awq", INPUTS)
    partial = artifact.path.with_name(f"{artifact.path.name}.partial")
    partial.mkdir(parents=True)
    (partial / "half.safetensors").write_bytes(b"half")
    folder = ensure(artifact, fill)
    assert not (folder / "half.safetensors").exists()
    assert not partial.exists()


@pytest.mark.parametrize("damage", ["changed", "missing", "extra", "manifest", "list"])
def test_a_damaged_artefact_is_refused_with_its_remedy(damage: str) -> None:
    folder = ensure(Artifact("awq", INPUTS), fill)
    weights = folder / "deep" / "model.safetensors"
    if damage == "changed":
        weights.write_bytes(b"wrights")
    elif damage == "missing":
        weights.unlink()
    elif damage == "extra":
        (folder / "adapter.safetensors").write_bytes(b"")
    else:
        (folder / MANIFEST).write_text("{" if damage == "manifest" else "[]")
    with pytest.raises(TrialError, match="damaged") as caught:
        ensure(Artifact("awq", INPUTS), fill)
    assert f"rm -r {folder}" in str(caught.value)


def test_hashes_cover_weights_configuration_and_tokenizer(tmp_path: Path) -> None:
    for name in ("model.safetensors", "config.json", "chat_template.jinja", "README.md"):
        (tmp_path / name).write_text(name)
    hashes = artifacts.model_hashes(tmp_path)
    assert set(hashes) == {"model.safetensors", "config.json", "chat_template.jinja"}
    assert hashes["config.json"] == hashlib.sha256(b"config.json").hexdigest()


def test_texts_are_told_apart_by_content_and_by_where_they_are_split() -> None:
    hashes = [artifacts.text_hash(t) for t in ([("a", "b")], [("ab", "")], [("a", "c")], [])]
    assert len(set(hashes)) == 4
    assert artifacts.text_hash([("a", "b")]) == artifacts.text_hash([["a", "b"]])


def test_the_source_is_a_folder_with_safetensors(tmp_path: Path) -> None:
    model = ModelSpec("mine", str(tmp_path))
    (tmp_path / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(TrialError, match=r"mine has no \*.safetensors"):
        source_folder(model)
    (tmp_path / "model.safetensors").write_bytes(b"")
    assert source_folder(model) == tmp_path.resolve()


def test_a_hub_id_is_resolved_to_its_snapshot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def snapshot_download(repo: str, revision: str | None, allow_patterns: list[str]) -> str:
        asked.append((repo, revision))
        assert "*.bin" not in allow_patterns
        if repo == "someone/gone":
            raise OSError("404")
        return str(tmp_path)

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot_download)
    (tmp_path / "model.safetensors").write_bytes(b"")
    model = ModelSpec("m", "someone/model", revision="v1")
    assert source_folder(model) == tmp_path.resolve()
    assert asked == [("someone/model", "v1")]
    with pytest.raises(TrialError, match="cannot get the files of someone/gone: 404"):
        source_folder(replace(model, path="someone/gone"))


@pytest.fixture
def child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module that a child process can import because this process can."""
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path / "child_of_test.py"


def test_a_module_runs_in_a_process_of_its_own(child: Path, tmp_path: Path) -> None:
    child.write_text(
        "import os, sys\nopen(sys.argv[1], 'w').write(f'{os.getpid()} {os.environ[\"COLOUR\"]}')"
    )
    run_module("child_of_test", str(tmp_path / "said"), "testing", {"COLOUR": "red"})
    pid, colour = (tmp_path / "said").read_text().split()
    assert int(pid) != os.getpid()
    assert colour == "red"


def test_a_failing_module_is_one_error_with_the_end_of_its_output(child: Path) -> None:
    child.write_text("for i in range(50): print(i)\nraise SystemExit('out of luck')")
    with pytest.raises(TrialError) as caught:
        run_module("child_of_test", "", "testing", {})
    message = str(caught.value)
    assert message.startswith("testing failed (exit code 1):\n")
    assert message.endswith("out of luck")
    assert len(message.splitlines()) == artifacts.LOG_LINES + 1


def test_a_killed_module_says_so(child: Path) -> None:
    child.write_text("import os\nos.kill(os.getpid(), 9)")
    with pytest.raises(TrialError, match="killed by signal 9, perhaps for lack of memory"):
        run_module("child_of_test", "", "testing", {})


def test_a_module_ends_in_peace_while_it_watches_its_parent(child: Path) -> None:
    child.write_text("from ablate.artifacts import exit_with_parent\nexit_with_parent()")
    run_module("child_of_test", "", "testing", {})


def test_a_module_ends_when_the_process_that_started_it_is_killed(
    child: Path, tmp_path: Path
) -> None:
    said = tmp_path / "pid"
    child.write_text(
        "import os, sys, time\nfrom ablate.artifacts import exit_with_parent\nexit_with_parent()\n"
        "open(sys.argv[1] + '.new', 'w').write(str(os.getpid()))\n"
        "os.rename(sys.argv[1] + '.new', sys.argv[1])\ntime.sleep(60)"
    )
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            f"import sys; sys.path[:] = {sys.path!r}\n"
            "from ablate.artifacts import run_module\n"
            f"run_module('child_of_test', {str(said)!r}, 'testing', {{}})",
        ]
    )
    wait_until(said.exists)
    pid = int(said.read_text())
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    wait_until(lambda: not running(pid))


def running(pid: int) -> bool:
    """Whether a process runs; one that has ended and was not waited for does not."""
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def wait_until(true: object) -> None:
    assert callable(true)
    for _ in range(200):
        if true():
            return
        time.sleep(0.1)
    raise AssertionError("waited 20 seconds in vain")
