"""The sections of a recipe that have several forms, each brought into one."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ablate.models import ModelConfig, is_path, shipped
from ablate.options import build, shorten
from ablate.types import Claim
from ablate.yamlfile import expand

DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(us|ms|s|min|m|h)")
SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}

DATA = ("path", "train_path")  # options of domains and workloads that name files

Options = dict[str, Any]


class SectionReader:
    """Reads sections, gathering ``problems``; what is wrong reads as an empty placeholder.

    ``base``: the folder that relative paths start from.
    """

    def __init__(self, base: Path) -> None:
        self.problems: list[str] = []
        self._base = base

    def model(self, value: object) -> ModelConfig:
        config, problems = build(ModelConfig, expand("model", value), "model")
        self.problems += problems
        return replace(config, id=self._model_path(config.id)) if config else ModelConfig("")

    def one(self, kind: str, value: object) -> tuple[str, Options]:
        """An engine or an executor, and its options."""
        value = expand(kind, value)
        if not isinstance(value, Mapping) or len(value) != 1:
            self.problems.append(
                f"{kind}: must be one {kind}, as a name or mapping, got {shorten(value)}"
            )
            return "", {}
        name, options = next(iter(value.items()))
        return str(name), self._options(options, f"{kind}.{name}")

    def domains(self, value: object) -> dict[str, Options]:
        items = value if isinstance(value, list) else []
        for name in {str(n) for n in items if items.count(n) > 1}:
            self.problems.append(f"domains: {name} is listed twice")
        value = expand("domains", value)
        if not isinstance(value, Mapping):
            self.problems.append(
                f"domains: must be a mapping or a list of names, got {shorten(value)}"
            )
            return {}
        return {str(name): self._with_data(o, f"domains.{name}") for name, o in value.items()}

    def _with_data(self, value: object, where: str) -> Options:
        """Options that may name data; those that lie beside the recipe need no ``./``."""
        options = self._options(value, where)
        files = {k: v for k, v in options.items() if k in DATA and isinstance(v, str)}
        return {**options, **{key: self._absolute(file) for key, file in files.items()}}

    def workload(self, value: object) -> Options:
        return {"arrival": "batch", **self._with_data(value, "workload")}

    def factors(self, value: object) -> dict[str, tuple[Options, ...]]:
        if not isinstance(value, Mapping):
            self.problems.append(
                f"factors: must be a mapping of lists of levels, got {shorten(value)}"
            )
            return {}
        return {name: self._levels(v, f"factors.{name}") for name, v in value.items()}

    def seconds(self, value: object, where: str) -> float:
        """A duration: a number of seconds, or one with its unit."""
        match = DURATION.fullmatch(value.strip()) if isinstance(value, str) else None
        if match:
            return float(match[1]) * SECONDS[match[2]]
        if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < math.inf:
            return float(value)
        self.problems.append(
            f"{where}: must be seconds or a duration such as 200ms, got {shorten(value)}"
        )
        return math.nan

    def slo(self, value: object) -> dict[str, float]:
        bounds = self._options(value, "slo")
        return {metric: self.seconds(v, f"slo.{metric}") for metric, v in bounds.items()}

    def claims(self, value: object) -> tuple[Claim, ...]:
        """The statements to be tested."""
        if not isinstance(value, (list, tuple)):
            self.problems.append(f"claims: must be a list of claims, got {shorten(value)}")
            return ()
        made = [build(Claim, claim, f"claims[{i}]") for i, claim in enumerate(value)]
        self.problems += [problem for _, problems in made for problem in problems]
        return tuple(claim for claim, _ in made if claim)

    def _levels(self, value: object, where: str) -> tuple[Options, ...]:
        if not isinstance(value, list) or not value:
            self.problems.append(
                f"{where}: must be a list of at least one level, got {shorten(value)}"
            )
            return ()
        return tuple(self._level(level, f"{where}[{i}]") for i, level in enumerate(value))

    def _level(self, value: object, where: str) -> Options:
        if value is False or value == "off":
            self.problems.append(f"{where}: every factor has the level off; it is not written")
            return {}
        if isinstance(value, str):
            return {value: {}}
        if not isinstance(value, Mapping) or not value:
            self.problems.append(
                f"{where}: must be a plugin, {{plugin: options}} or {{set: keys}}, "
                f"got {shorten(value)}"
            )
            return {}
        return {name: self._options(options, f"{where}.{name}") for name, options in value.items()}

    def _options(self, value: object, where: str) -> Options:
        if value is None:
            return {}
        if not isinstance(value, Mapping):
            self.problems.append(f"{where}: must be a mapping, got {shorten(value)}")
            return {}
        return {key: self._located(v, key) for key, v in value.items()}

    def _located(self, value: Any, key: str = "") -> Any:
        """The value with its paths made absolute."""
        if isinstance(value, Mapping):
            return {k: self._located(v, k) for k, v in value.items()}
        if isinstance(value, (list, tuple)):
            return [self._located(v) for v in value]
        if not isinstance(value, str):
            return value
        if key in ("model", "model.id"):
            return self._model_path(value)
        return self._absolute(value) if value.startswith(("./", "../", "~/")) else value

    def _model_path(self, model: str) -> str:
        """A model's folder, where the name says that it is one or there is one of that name."""
        if is_path(model):
            return self._absolute(model)
        beside = model and model not in shipped() and (self._base / model).is_dir()
        return self._absolute(model) if beside else model

    def _absolute(self, path: str) -> str:
        try:
            return str((self._base / Path(path).expanduser()).resolve())
        except (OSError, ValueError, RuntimeError):  # whatever needs it says that it is not there
            return path
