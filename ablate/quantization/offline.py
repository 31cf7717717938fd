"""Quantizing ahead of time by a library in a process of its own, into a kept artefact.

Such libraries patch what they import, start threads and pin what they need, none of which belongs
into a measured process or suits every engine: they may live in an environment of their own, whose
interpreter the option ``python`` names.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from ablate import lifeline
from ablate.artifacts import Artifact, ensure, model_hashes, source_folder
from ablate.child import run_script
from ablate.errors import TrialError
from ablate.interpreters import interpreter, unusable, versions_of_all
from ablate.plugins import Plugin, hookimpl
from ablate.quantization import served
from ablate.quantization.calibration import Calibration, Source, calibration, token_rows
from ablate.types import ModelSpec, Requirements

UNCALIBRATED = Calibration("none", list)


@dataclass(frozen=True)
class Library:
    """A library that quantizes, and how it is called.

    ``distributions``: what its result depends on. ``make``: the commands that make it an
    environment. ``missing``: the requirements of a plugin, by name, where ``python`` is not given.
    ``script``: run by the interpreter with the path of a request in JSON: the ``source`` model's
    folder, the ``target``, token ``rows``, a ``lifeline`` and what the plugin adds; imports
    nothing of ablate. ``backends``: engines that load what it writes. ``environment``: variables.
    """

    name: str
    distributions: tuple[str, ...]
    make: str
    missing: Callable[[str], Requirements]
    script: Path
    backends: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Offline(Plugin):
    """What the plugins that quantize once, and serve what comes out, have in common.

    ``calibration``: ``domains`` (worked training examples), ``self`` (the model's own answers to
    them) or a text file; ``calibration_samples`` of them, drawn with ``seed``. ``python``: the
    interpreter of the library's environment.
    """

    calibration: str = "domains"
    calibration_samples: int = 128
    seed: int = 0
    python: str = ""

    method: ClassVar[str]
    library: ClassVar[Library]
    recipe: ClassVar[int] = 1
    """Raised when something else is written for the same options."""

    def __post_init__(self) -> None:
        self._source().check()

    @property
    def calibrated(self) -> bool:
        """Whether the method looks at text."""
        return True

    def options(self) -> Mapping[str, Any]:
        """What the artefact depends on beside the model, the text and the library."""
        raise NotImplementedError

    def asked(self, device: str | None) -> Mapping[str, Any]:
        """What the script is told beside folders and text. ``device``: None where any will do."""
        raise NotImplementedError

    @hookimpl
    def ablate_requirements(self, engine: str) -> Requirements:
        if not self.python:
            return self.library.missing(self.method)
        where = f"{self.method}.python"
        wrong = unusable(self.python, where)
        if not wrong:
            try:
                self._versions()
            except TrialError as error:
                wrong = [f"{where}: {error}"]
        return Requirements(problems=tuple(wrong))

    @hookimpl
    def ablate_load_model(self, model: ModelSpec, device: str) -> Any:
        from ablate.quantization.checkpoint import load  # torch: only when a trial opens

        return load(self._quantized(model, device), model.dtype, device)

    @hookimpl
    def ablate_engine_args(self, engine: str, model: ModelSpec) -> Mapping[str, Any] | None:
        backends = self.library.backends
        return served.arguments(engine, backends, lambda: self._quantized(model, None))

    def _source(self) -> Source:
        return Source(self.calibration, self.calibration_samples, self.seed)

    def _versions(self) -> Mapping[str, str]:
        """Of all that the library's result depends on. Raises TrialError where it is not there."""
        library = self.library
        path = interpreter(self.python)
        return versions_of_all(path, library.name, library.distributions, library.make)

    def _quantized(self, model: ModelSpec, device: str | None) -> Path:
        """Folder of the quantized checkpoint, in Hugging Face layout; made if it is missing."""
        source = source_folder(model)
        name = self.method.upper()
        text = calibration(model, name, self._source()) if self.calibrated else UNCALIBRATED
        inputs = {
            "recipe": self.recipe,
            "source": model_hashes(source),
            "options": self.options(),
            "calibration": text.key,
            "versions": self._versions(),
        }

        def build(folder: Path) -> None:
            request = folder / "request.json"
            examples = text.make()
            asked = {
                **self.asked(device),
                "source": str(source),
                "target": str(folder),
                "rows": token_rows(str(source), examples) if examples else [],
                "lifeline": lifeline.__file__,
            }
            request.write_text(json.dumps(asked), encoding="utf-8")
            what = f"quantizing {model.name} with {self.library.name}"
            script, environment = self.library.script, self.library.environment
            run_script(interpreter(self.python), script, str(request), what, environment)
            request.unlink()

        return ensure(Artifact(self.method, inputs, model.name), build)
