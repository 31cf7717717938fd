"""Quantized models on disk: made once, found again by what they were made from, checked when read.

An artefact is a folder in Hugging Face layout under ``$ABLATE_CACHE`` (or ``~/.cache/ablate``). Its
name holds a digest of everything that its content depends on, so a changed model, option,
calibration text or library version makes another artefact and never reuses a wrong one.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

from filelock import FileLock

from ablate.errors import AblateError, TrialError, did_you_mean
from ablate.types import ModelSpec

MANIFEST = "ablate-manifest.json"
MODEL_SUFFIXES = frozenset({".safetensors", ".json", ".jinja", ".model", ".txt"})


@dataclass(frozen=True)
class Artifact:
    """A derived model, named by what it is made from.

    ``inputs`` holds JSON values: hashes of the source's files, options, texts, versions.
    ``model`` is what a person calls the source; it is no part of the name.
    """

    method: str
    inputs: Mapping[str, Any]
    model: str = ""

    @cached_property
    def path(self) -> Path:
        """The folder it has, or will have, in the cache."""
        text = json.dumps(self.inputs, sort_keys=True, ensure_ascii=False)
        digest = hashlib.sha256(text.encode()).hexdigest()
        return cache_root() / "artifacts" / f"{self.method}-{digest[:20]}"


def cache_root() -> Path:
    """``$ABLATE_CACHE``, or ``~/.cache/ablate``."""
    return Path(os.environ.get("ABLATE_CACHE") or "~/.cache/ablate").expanduser().absolute()


def ensure(artifact: Artifact, build: Callable[[Path], None]) -> Path:
    """The artefact's folder, verified; ``build(folder)`` fills an empty one if there is none yet.

    A second process that wants the same artefact waits for the first. A build that fails leaves
    nothing behind. Raises TrialError if the files are not those that were written.
    """
    final = artifact.path
    final.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{final}.lock"):
        if not final.exists():
            _build(artifact, build)
    verify(final)
    return final


def _build(artifact: Artifact, build: Callable[[Path], None]) -> None:
    final = artifact.path
    partial = final.with_name(f"{final.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)  # of a killed run: whoever holds the lock is alone
    partial.mkdir()
    began = time.monotonic()
    try:
        build(partial)
        manifest = {
            "model": artifact.model,
            "inputs": dict(artifact.inputs),
            "seconds": round(time.monotonic() - began, 1),
            "files": _hashes(_all_files(partial), partial),
        }
        (partial / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
        partial.rename(final)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def verify(folder: Path) -> None:
    """Raise TrialError unless the folder holds exactly the files that were written into it."""
    try:
        expected = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["files"]
    except (OSError, ValueError, KeyError, TypeError):
        raise _damaged(folder, f"its {MANIFEST} cannot be read") from None
    actual = _hashes([f for f in _all_files(folder) if f.name != MANIFEST], folder)
    changed = sorted(n for n in {*expected, *actual} if expected.get(n) != actual.get(n))
    if changed:
        raise _damaged(folder, f"{', '.join(changed)} changed since it was written")


def _damaged(folder: Path, reason: str) -> TrialError:
    return TrialError(
        f"what the cache holds in {folder} is damaged: {reason}. Remove it with "
        f"'ablate artifacts rm {folder.name}' and run again; it will be made anew"
    )


def source_folder(model: ModelSpec) -> Path:
    """The folder with the model's checkpoint; a Hugging Face id is fetched unless it is cached.

    Only safetensors weights are accepted. Raises TrialError when there are none.
    """
    folder = Path(model.path).expanduser()
    if not folder.is_dir():
        folder = _snapshot(model)
    if not any(folder.glob("*.safetensors")):
        raise TrialError(f"{model.name} has no *.safetensors weights, and only these are quantized")
    return folder.resolve()


def _snapshot(model: ModelSpec) -> Path:
    from huggingface_hub import snapshot_download  # only a model that is no folder needs the hub

    patterns = [f"*{suffix}" for suffix in MODEL_SUFFIXES]
    try:
        return Path(snapshot_download(model.path, revision=model.revision, allow_patterns=patterns))
    except (OSError, ValueError) as error:  # the hub's own errors derive from these
        raise TrialError(f"cannot get the files of {model.path}: {error}") from error


def model_hashes(folder: Path) -> dict[str, str]:
    """SHA-256 of each file of a checkpoint: weights, configuration and tokenizer."""
    files = sorted(f for f in folder.iterdir() if f.suffix in MODEL_SUFFIXES and f.is_file())
    return _hashes(files, folder)


def text_hash(texts: Sequence[Sequence[str]]) -> str:
    """SHA-256 of a list of texts, such as those that a quantizer is calibrated on."""
    return hashlib.sha256(json.dumps([list(t) for t in texts]).encode()).hexdigest()


def package_versions(*names: str) -> dict[str, str]:
    """The installed versions of distributions; all of them must be installed."""
    return {name: version(name) for name in names}


def _all_files(folder: Path) -> list[Path]:
    return sorted(f for f in folder.rglob("*") if f.is_file())


def _hashes(files: Sequence[Path], root: Path) -> dict[str, str]:
    return {f.relative_to(root).as_posix(): _sha256(f) for f in files}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass(frozen=True)
class Kept:
    """An artefact in the cache. ``made``: seconds since 1970. ``inputs`` is what it was made from,
    ``seconds`` how long that took; None if that cannot be read.
    """

    name: str
    path: Path
    bytes: int
    made: float
    model: str
    inputs: Mapping[str, Any] | None
    seconds: float | None = None


def kept() -> list[Kept]:
    """What the cache holds, the newest first; half-written folders of killed runs are left out."""
    folders = [f for f in (cache_root() / "artifacts").glob("*-*") if f.is_dir()]
    found = [_kept(folder) for folder in folders if folder.suffix != ".partial"]
    return sorted(found, key=lambda one: -one.made)


def _kept(folder: Path) -> Kept:
    model, inputs, seconds = "", None, None
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        model, inputs = str(manifest.get("model", "")), manifest["inputs"]
        seconds = manifest.get("seconds")  # earlier versions did not write it
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        pass  # listed all the same, so that it can be removed
    size = sum(file.stat().st_size for file in _all_files(folder))
    return Kept(folder.name, folder, size, folder.stat().st_mtime, model, inputs, seconds)


def find(name: str) -> Kept:
    """The one artefact whose name begins with ``name``. Raises AblateError if it is not one."""
    names = {one.name: one for one in kept()}
    fitting = [one for one in names if one.startswith(name)] if name else []
    if len(fitting) == 1:
        return names[fitting[0]]
    if fitting:
        raise AblateError(f"{name!r} may be any of {', '.join(fitting)}: give more of the name")
    raise AblateError(f"there is no artefact {name!r}.{did_you_mean(name, names)}")


def remove(one: Kept) -> None:
    """Delete an artefact, waiting for whoever is making or removing it."""
    with FileLock(f"{one.path}.lock"):
        shutil.rmtree(one.path, ignore_errors=True)
