"""Quantizing with llm-compressor into a kept artefact, under this interpreter or another.

Its pins (transformers, compressed-tensors) rarely agree with those of an engine, so it may live in
an environment of its own: the option ``python`` names that environment's interpreter.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

from ablate import lifeline
from ablate.artifacts import Artifact, ensure, model_hashes, source_folder
from ablate.child import run_script
from ablate.errors import TrialError
from ablate.quantization.calibration import Calibration, Source, calibration, token_rows
from ablate.types import ModelSpec, Requirements

SCRIPT = Path(__file__).with_name("oneshot.py")
LIBRARIES = ("llmcompressor", "compressed-tensors", "torch", "transformers")
NOTHING = Calibration("none", list)
MAKE = "python -m venv llmcompressor && llmcompressor/bin/pip install llmcompressor"


@dataclass(frozen=True)
class Job:
    """What a plugin asks of llm-compressor.

    ``modifiers``: class name -> arguments, in order. ``recipe`` is raised when the plugin changes
    what it writes. ``source``: of the calibration text, None: it needs none.
    """

    method: str
    recipe: int
    modifiers: Mapping[str, Mapping[str, Any]]
    source: Source | None


def requirements(plugin: str, python: str) -> Requirements:
    """A problem with its remedy where there is no interpreter that could have the library."""
    if python:
        found = Path(python).expanduser()
        usable = found.is_file() and os.access(found, os.X_OK)
        problem = f"{plugin}.python: {python} is no interpreter that can be run"
        return Requirements(problems=() if usable else (problem,))
    if find_spec("llmcompressor") is not None:
        return Requirements()
    problem = (
        f"llmcompressor is not installed, and its pins may not suit this environment: make it one "
        f"({MAKE}) and name its interpreter, {plugin}: {{python: llmcompressor/bin/python}}"
    )
    return Requirements(problems=(problem,))


def quantized(job: Job, python: str, model: ModelSpec) -> Path:
    """Folder of the quantized checkpoint, in compressed-tensors' format; made if it is missing."""
    interpreter = str(Path(python).expanduser().absolute()) if python else sys.executable
    source = source_folder(model)
    text = calibration(model, job.method, job.source) if job.source else NOTHING
    inputs = {
        "recipe": job.recipe,
        "source": model_hashes(source),
        "options": {"modifiers": job.modifiers},
        "calibration": text.key,
        "versions": versions(interpreter),
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
        run_script(interpreter, SCRIPT, str(request), what, {"HF_HUB_OFFLINE": "1"})
        request.unlink()

    return ensure(Artifact(job.method, inputs, model.name), build)


def versions(interpreter: str) -> dict[str, str]:
    """The libraries' versions in that environment. Raises TrialError if one is missing."""
    code = (
        "import json, sys; from importlib.metadata import version; "
        "print(json.dumps({name: version(name) for name in sys.argv[1:]}))"
    )
    asked = [interpreter, "-I", "-c", code, *LIBRARIES]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)  # noqa: S603 - the user's
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise TrialError(f"{interpreter} has no llm-compressor to run: {last}. Make it: {MAKE}")
    return cast("dict[str, str]", json.loads(done.stdout))
