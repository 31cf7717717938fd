"""Quantizing with gptqmodel, in a process of its own, into a kept artefact.

Importing gptqmodel changes the environment (also ``HF_HOME``), transformers and logging, and starts
threads, none of which belongs into a measured process.
"""

from __future__ import annotations

import json
import os
import random
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ablate.artifacts import (
    Artifact,
    ensure,
    model_hashes,
    package_versions,
    source_folder,
)
from ablate.child import run_module
from ablate.lifeline import exit_with_parent
from ablate.quantization.calibration import DOMAINS, OWN, Source, calibration, token_rows
from ablate.types import ModelSpec

PACKAGES = ("gptqmodel", "accelerate")


def quantized(
    method: str, module: str, recipe: int, options: Mapping[str, Any], model: ModelSpec, device: str
) -> Path:
    """Folder of the quantized checkpoint, in Hugging Face layout; made if it is missing.

    ``module`` is run with a request that holds ``options``, ``source``, ``device`` and ``rows``
    and saves into ``target``; ``recipe`` is raised when it changes what it writes. ``options`` must
    have ``calibration``, ``calibration_samples`` and ``seed``.
    """
    source = source_folder(model)
    where = Source(options["calibration"], options["calibration_samples"], options["seed"])
    text = calibration(model, method.upper(), where)
    inputs = {
        "recipe": recipe,
        "source": model_hashes(source),
        "options": _key(options),
        "calibration": text.key,
        "versions": package_versions("gptqmodel", "torch", "transformers"),
    }
    spec = {**options, "source": str(source), "device": device}

    def build(folder: Path) -> None:
        request = folder / "request.json"
        asked = {**spec, "target": str(folder), "examples": text.make()}
        request.write_text(json.dumps(asked), encoding="utf-8")
        what = f"quantizing {model.name} with gptqmodel"
        run_module(module, str(request), what, environment())
        request.unlink()

    return ensure(Artifact(method, inputs, model.name), build)


def accelerator() -> str:
    """What quantizing for another engine runs on: the device is no part of what comes out."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def _key(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options that an artefact depends on: of a text file its text, wherever it lies."""
    where = options["calibration"]
    return {**options, "calibration": where if where in (DOMAINS, OWN) else "file"}


def environment() -> dict[str, str]:
    """What gptqmodel reads when it is imported: its workers, and that it is to fetch nothing."""
    workers = str(min(2, os.cpu_count() or 1))
    return {"GPTQMODEL_CPU_WORKERS": workers, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "0"}


Quantizer = Callable[[Mapping[str, Any], Sequence[Mapping[str, Any]]], None]
"""Takes the request and the calibration rows, and saves the checkpoint."""


def main(quantize: Quantizer) -> None:
    """The body of the child process: ``python -m MODULE REQUEST``."""
    exit_with_parent()
    request = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    rows = token_rows(request["source"], request["examples"])

    import torch

    random.seed(request["seed"])
    torch.manual_seed(request["seed"])
    quantize(request, [{"input_ids": row, "attention_mask": [1] * len(row)} for row in rows])
