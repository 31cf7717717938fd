"""Artefacts: made once, found by what they are made from, checked whenever they are read."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from ablate import artifacts
from ablate.artifacts import MANIFEST, Artifact, ensure, find, kept, remove, source_folder
from ablate.cli import main
from ablate.errors import AblateError, TrialError
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
    assert f"ablate artifacts rm {folder.name}" in str(caught.value)


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


def test_what_is_kept_can_be_listed_and_removed(cache: Path) -> None:
    assert kept() == []
    one, other = Artifact("awq", INPUTS, "some-model"), Artifact("gptq", INPUTS)
    for artifact in (one, other):
        ensure(artifact, fill)
    (cache / "artifacts" / "awq-0.partial").mkdir()
    assert {found.name for found in kept()} == {one.path.name, other.path.name}
    found = find("awq")
    assert found.path == one.path
    assert (found.model, found.inputs) == ("some-model", INPUTS)
    assert found.seconds is not None
    assert 0 <= found.seconds < 60
    assert found.bytes == sum(f.stat().st_size for f in one.path.rglob("*") if f.is_file())
    remove(found)
    assert [left.name for left in kept()] == [other.path.name]
    ensure(one, fill)
    assert len(kept()) == 2


def test_a_name_that_fits_none_or_several_is_refused() -> None:
    ensure(Artifact("awq", INPUTS), fill)
    ensure(Artifact("awq", {**INPUTS, "options": {}}), fill)
    with pytest.raises(AblateError, match=r"'awq' may be any of awq-.*, awq-"):
        find("awq")
    for name in ("gptq", ""):
        with pytest.raises(AblateError, match="there is no artefact"):
            find(name)


def test_a_folder_without_its_manifest_is_listed_too() -> None:
    """So that it can be removed."""
    path = ensure(Artifact("awq", INPUTS), fill)
    (path / MANIFEST).unlink()
    (found,) = kept()
    assert found.inputs is None


def test_the_command_lists_names_and_deletes(
    cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["artifacts"]) == 0
    assert f"No quantized models are kept in {cache}" in capsys.readouterr().out.replace("\n", "")
    inputs = {**INPUTS, "options": {"bits": 4}}
    paths = [ensure(Artifact(m, inputs, "some-model"), fill) for m in ("awq", "gptq", "rtn")]
    assert main(["artifacts", "list"]) == 0
    out = capsys.readouterr().out
    assert all(path.name in out for path in paths)
    assert "some-model" in out
    assert "bits=4" in out
    assert main(["artifacts", "path", "gptq"]) == 0
    assert capsys.readouterr().out.strip() == str(paths[1])
    assert main(["artifacts", "rm", "awq", paths[0].name]) == 0
    assert [path.exists() for path in paths] == [False, True, True]
    assert main(["artifacts", "rm", "--all"]) == 0
    assert kept() == []


@pytest.mark.parametrize("arguments", [[], ["awq", "--all"], ["awq", "nothing"]])
def test_a_command_that_is_not_clear_deletes_nothing(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    ensure(Artifact("awq", INPUTS), fill)
    assert main(["artifacts", "rm", *arguments]) == 2
    assert "ablate: error:" in capsys.readouterr().err
    assert len(kept()) == 1
