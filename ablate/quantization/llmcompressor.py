"""Quantizing with llm-compressor into a kept artefact, under this interpreter or another.

Its pins (transformers, compressed-tensors) rarely agree with those of an engine, so it may live in
an environment of its own: the option ``python`` names that environment's interpreter.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

from ablate import lifeline
from ablate.artifacts import Artifact, ensure, model_hashes, source_folder
from ablate.child import run_script
from ablate.interpreters import interpreter, unusable, versions_of_all
from ablate.plugins import Plugin, hookimpl
from ablate.quantization import served
from ablate.quantization.calibration import Calibration, Source, calibration, token_rows
from ablate.types import Evidence, EvidenceState, ModelSpec, Requirements

BACKENDS = ("vllm", "sglang")  # that load compressed-tensors
SCRIPT = Path(__file__).with_name("oneshot.py")
LIBRARIES = ("llmcompressor", "compressed-tensors", "torch", "transformers")
NOTHING = Calibration("none", list)
MAKE = "python -m venv llmcompressor && llmcompressor/bin/pip install llmcompressor"


@dataclass(frozen=True)
class Compressed(Plugin):
    """What the plugins that llm-compressor quantizes for have in common.

    ``calibration``: ``domains`` (worked training examples), ``self`` (the model's own answers to
    them) or a text file; ``calibration_samples`` of them, drawn with ``seed``. ``python``: the
    interpreter of llm-compressor's environment.
    """

    calibration: str = "domains"
    calibration_samples: int = 128
    seed: int = 0
    python: str = ""

    method: ClassVar[str]
    bits: ClassVar[int]
    recipe: ClassVar[int] = 1
    """Raised when ``modifiers`` changes what it writes for the same options."""

    def __post_init__(self) -> None:
        self._source().check()

    def modifiers(self) -> Mapping[str, Mapping[str, Any]]:
        """llm-compressor's modifiers in order: class name -> arguments."""
        raise NotImplementedError

    @property
    def calibrated(self) -> bool:
        """Whether these modifiers look at text."""
        return True

    @hookimpl
    def ablate_requirements(self, engine: str) -> Requirements:
        return requirements(self.method, self.python)

    @hookimpl
    def ablate_load_model(self, model: ModelSpec, device: str) -> Any:
        from ablate.quantization.checkpoint import load  # torch: only when a trial opens

        return load(self._quantized(model), model.dtype, device)

    @hookimpl
    def ablate_engine_args(self, engine: str, model: ModelSpec) -> Mapping[str, Any] | None:
        return served.arguments(engine, BACKENDS, lambda: self._quantized(model))

    @hookimpl
    def ablate_evidence(self, state: EvidenceState) -> Evidence:
        return served.evidence(self.method, state, self.bits)

    def _source(self) -> Source:
        return Source(self.calibration, self.calibration_samples, self.seed)

    def _quantized(self, model: ModelSpec) -> Path:
        source = self._source() if self.calibrated else None
        job = Job(self.method, self.recipe, self.modifiers(), source)
        return quantized(job, self.python, model)


@dataclass(frozen=True)
class Job:
    """What is asked of llm-compressor. ``source``: of the calibration text, None: it needs none."""

    method: str
    recipe: int
    modifiers: Mapping[str, Mapping[str, Any]]
    source: Source | None


def requirements(plugin: str, python: str) -> Requirements:
    """A problem with its remedy where there is no interpreter that could have the library."""
    if python:
        return Requirements(problems=tuple(unusable(python, f"{plugin}.python")))
    if find_spec("llmcompressor") is not None:
        return Requirements()
    problem = (
        f"llmcompressor is not installed, and its pins may not suit this environment: make it one "
        f"({MAKE}) and name its interpreter, {plugin}: {{python: llmcompressor/bin/python}}"
    )
    return Requirements(problems=(problem,))


def quantized(job: Job, python: str, model: ModelSpec) -> Path:
    """Folder of the quantized checkpoint, in compressed-tensors' format; made if it is missing."""
    path = interpreter(python)
    source = source_folder(model)
    text = calibration(model, job.method, job.source) if job.source else NOTHING
    inputs = {
        "recipe": job.recipe,
        "source": model_hashes(source),
        "options": {"modifiers": job.modifiers},
        "calibration": text.key,
        "versions": versions_of_all(path, "llm-compressor", LIBRARIES, MAKE),
    }

    def build(folder: Path) -> None:
        request = folder / "request.json"
        examples = text.make()
        asked = {
            "source": str(source),
            "target": str(folder),
            "modifiers": job.modifiers,
            "rows": token_rows(str(source), examples) if examples else [],
            "seed": job.source.seed if job.source else 0,
            "lifeline": lifeline.__file__,
        }
        request.write_text(json.dumps(asked), encoding="utf-8")
        what = f"quantizing {model.name} with llm-compressor"
        run_script(path, SCRIPT, str(request), what, {"HF_HUB_OFFLINE": "1"})
        request.unlink()

    return ensure(Artifact(job.method, inputs, model.name), build)
