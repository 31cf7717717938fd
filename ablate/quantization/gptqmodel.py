"""Quantizing with gptqmodel, in a process of its own, into a kept artefact.

Importing gptqmodel changes the environment (also ``HF_HOME``), transformers and logging, and starts
threads, none of which belongs into a measured process. Its pins (numpy) need not suit an engine's,
so it may live in an environment of its own: the option ``python`` names that one's interpreter.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

from ablate import lifeline
from ablate.artifacts import Artifact, ensure, model_hashes, source_folder
from ablate.child import run_script
from ablate.interpreters import interpreter, unusable, versions_of_all
from ablate.plugins import Plugin, hookimpl
from ablate.quantization import served
from ablate.quantization.calibration import DOMAINS, OWN, Source, calibration, token_rows
from ablate.quantization.extras import requirements
from ablate.types import Evidence, EvidenceState, ModelSpec, Requirements

BACKENDS = ("vllm", "sglang", "lmdeploy")  # that load what it writes
SCRIPT = Path(__file__).with_name("child_of_gptqmodel.py")
LIBRARIES = ("gptqmodel", "torch", "transformers")
PACKAGES = ("gptqmodel", "accelerate")
MAKE = "python -m venv quantizer && quantizer/bin/pip install gptqmodel accelerate"


@dataclass(frozen=True)
class OfGptqmodel(Plugin):
    """What the plugins that gptqmodel quantizes for have in common.

    ``calibration``: ``domains`` (worked training examples), ``self`` (the model's own answers to
    them) or a text file; ``calibration_samples`` of them, drawn with ``seed``. ``python``: the
    interpreter of gptqmodel's environment.
    """

    bits: int = 4
    group_size: int = 64
    calibration: str = "domains"
    calibration_samples: int = 128
    seed: int = 0
    python: str = ""

    method: ClassVar[str]
    group_sizes: ClassVar[tuple[int, ...]]
    script: ClassVar[Path]
    """A file with ``quantize(request, rows)`` that imports nothing of ablate."""
    recipe: ClassVar[int] = 1
    """Raised when the script changes what it writes for the same options."""

    def __post_init__(self) -> None:
        if self.group_size not in self.group_sizes:
            sizes = ", ".join(map(str, self.group_sizes))
            raise ValueError(f"group_size must be one of {sizes}, not {self.group_size}")
        self._source().check()

    @hookimpl
    def ablate_requirements(self, engine: str) -> Requirements:
        if self.python:
            return Requirements(problems=tuple(unusable(self.python, f"{self.method}.python")))
        return requirements(self.method, PACKAGES)

    @hookimpl
    def ablate_load_model(self, model: ModelSpec, device: str) -> Any:
        from ablate.quantization.checkpoint import load  # torch: only when a trial opens

        return load(self._quantized(model, device), model.dtype, device)

    @hookimpl
    def ablate_engine_args(self, engine: str, model: ModelSpec) -> Mapping[str, Any] | None:
        return served.arguments(engine, BACKENDS, lambda: self._quantized(model, accelerator()))

    @hookimpl
    def ablate_evidence(self, state: EvidenceState) -> Evidence:
        return served.evidence(self.method, state, self.bits)

    def _source(self) -> Source:
        return Source(self.calibration, self.calibration_samples, self.seed)

    def _quantized(self, model: ModelSpec, device: str) -> Path:
        """Folder of the quantized checkpoint, in Hugging Face layout; made if it is missing."""
        path = interpreter(self.python)
        source = source_folder(model)
        text = calibration(model, self.method.upper(), self._source())
        options = asdict(self)
        del options["python"]  # where it is made is no part of what is made
        inputs = {
            "recipe": self.recipe,
            "source": model_hashes(source),
            "options": _key(options),
            "calibration": text.key,
            "versions": versions_of_all(path, "gptqmodel", LIBRARIES, MAKE),
        }

        def build(folder: Path) -> None:
            request = folder / "request.json"
            asked = {
                **options,
                "source": str(source),
                "target": str(folder),
                "device": device,
                "rows": token_rows(str(source), text.make()),
                "lifeline": lifeline.__file__,
                "script": str(self.script),
            }
            request.write_text(json.dumps(asked), encoding="utf-8")
            what = f"quantizing {model.name} with gptqmodel"
            run_script(path, SCRIPT, str(request), what, _environment())
            request.unlink()

        return ensure(Artifact(self.method, inputs, model.name), build)


def accelerator() -> str:
    """What quantizing for another engine runs on: the device is no part of what comes out."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def _key(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options that an artefact depends on: of a text file its text, wherever it lies."""
    where = options["calibration"]
    return {**options, "calibration": where if where in (DOMAINS, OWN) else "file"}


def _environment() -> dict[str, str]:
    """What gptqmodel reads when it is imported: its workers, and that it is to fetch nothing."""
    workers = str(min(2, os.cpu_count() or 1))
    return {"GPTQMODEL_CPU_WORKERS": workers, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "0"}
