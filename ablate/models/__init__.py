"""Models: the shipped ones, and what a recipe's ``model`` stands for.

A name is, in this order: a shipped model (a folder beside this file), a path, a Hugging Face id.
What can be told from a checkpoint's files is checked here, before anything is loaded.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import psutil

from ablate.errors import RecipeError, did_you_mean
from ablate.types import ModelSpec

HERE = Path(__file__).parent
HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?")
DTYPE_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
DTYPES = ("auto", *DTYPE_BYTES)


@dataclass(frozen=True)
class ModelConfig:
    """The ``model`` key: a bare string is its ``id`` (a shipped name, a path, or a hub id)."""

    id: str
    revision: str | None = None
    dtype: str = "auto"
    allow_pickle: bool = False
    trust_remote_code: bool = False


def shipped() -> Sequence[str]:
    """Names of the models in this package."""
    return sorted(f.parent.name for f in HERE.glob("*/config.json"))


def is_path(model: str) -> bool:
    """Whether a model's name says that it is a path, whatever exists."""
    return model.startswith(("/", "./", "../", "~")) or model in (".", "..")


def resolve_model(config: ModelConfig, on_host: bool = True) -> ModelSpec:
    """What the name stands for, checked as far as files on this machine allow.

    ``on_host``: the weights will be held in this machine's main memory, so they must fit there.
    Raises RecipeError with every problem found.
    """
    path = _path(config.id)
    problems = _name_problems(config) if path is None else _problems(config, path, on_host)
    if problems:
        raise RecipeError(problems)
    return ModelSpec(
        name=config.id,
        path=str(path or config.id),
        revision=config.revision,
        dtype=config.dtype,
        allow_pickle=config.allow_pickle,
        trust_remote_code=config.trust_remote_code,
    )


def local_folder(config: ModelConfig) -> Path | None:
    """The folder of a model that is on this machine; None for a Hugging Face id."""
    return _path(config.id)


def _path(model: str) -> Path | None:
    if model in shipped():
        return HERE / model
    try:
        path = Path(model).expanduser()
        return path.resolve() if is_path(model) or (model and path.exists()) else None
    except (OSError, ValueError, RuntimeError):  # no such user, a NUL, too long: no path
        return None


def _name_problems(config: ModelConfig) -> list[str]:
    names = shipped()
    if "/" not in config.id and get_close_matches(config.id, names, cutoff=0.8):
        return [f"model {config.id!r} is not shipped.{did_you_mean(config.id, names)}"]
    if not HUB_ID.fullmatch(config.id):
        shipped_text = f" ({', '.join(names)})" if names else ""
        return [
            f"model {config.id!r} is neither a shipped model{shipped_text}, nor an existing path, "
            "nor a Hugging Face id"
        ]
    return []


def _problems(config: ModelConfig, path: Path, on_host: bool) -> list[str]:
    name = f"model {config.id!r}"
    if not path.exists():
        return [f"{name}: {path} does not exist"]
    if not (path / "config.json").is_file():
        return [f"{name}: {path} is no model folder: it has no config.json"]
    try:
        described = json.loads((path / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        return [f"{name}: {path / 'config.json'} cannot be read: {error}"]
    if not isinstance(described, dict):
        return [f"{name}: {path / 'config.json'} is no JSON object"]
    problems = _trust_problems(config, path, described)
    if config.revision is not None:
        problems.append(f"revision {config.revision!r} is for Hugging Face ids; this is a folder")
    if on_host:
        problems += _memory_problems(config, path, described)
    return [f"{name}: {problem}" for problem in problems]


def _trust_problems(config: ModelConfig, path: Path, described: Mapping[str, Any]) -> list[str]:
    problems = []
    if "auto_map" in described and not config.trust_remote_code:
        problems.append(
            "its config.json has auto_map, that is, it runs code from the checkpoint; "
            "set trust_remote_code: true if you trust it"
        )
    weights = _weights(path)
    if not weights:
        problems.append(f"{path} has no weights (*.safetensors)")
    elif weights[0].suffix != ".safetensors" and not config.allow_pickle:
        problems.append(
            f"its weights are pickles only ({weights[0].name}), which can run code when loaded; "
            "convert them to safetensors, or set allow_pickle: true if you trust them"
        )
    return problems


def _memory_problems(config: ModelConfig, path: Path, described: Mapping[str, Any]) -> list[str]:
    size = sum(f.stat().st_size for f in _weights(path)) * _widening(config.dtype, described)
    available = psutil.virtual_memory().available
    if size <= available:
        return []
    return [
        f"does not fit: its weights take {_gib(size)} and this machine has "
        f"{_gib(available)} of memory available"
    ]


def _weights(path: Path) -> Sequence[Path]:
    """The files that loading reads: safetensors (of an index, where there is one), else pickles."""
    try:
        index = json.loads((path / "model.safetensors.index.json").read_text(encoding="utf-8"))
        listed = {path / name for name in index["weight_map"].values()}
        return sorted(f for f in listed if f.is_file())
    except (OSError, ValueError, KeyError, AttributeError):
        safe = sorted(path.glob("*.safetensors"))
        return safe or sorted([*path.glob("*.bin"), *path.glob("*.pt"), *path.glob("*.pth")])


def _widening(dtype: str, described: Mapping[str, Any]) -> float:
    """How much larger the weights are in memory than in the file."""
    stored = described.get("dtype") or described.get("torch_dtype")
    if "quantization_config" in described or dtype == "auto":
        return 1.0
    return DTYPE_BYTES.get(dtype, 1) / DTYPE_BYTES.get(str(stored), DTYPE_BYTES.get(dtype, 1))


def _gib(size: float) -> str:
    return f"{size / 2**30:.1f} GiB"
