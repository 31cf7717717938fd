"""Makes the quantized checkpoint, once for all trials that need the same one."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from ablate.artifacts import (
    Artifact,
    ensure,
    model_hashes,
    package_versions,
    run_module,
    source_folder,
    text_hash,
)
from ablate.errors import TrialError
from ablate.types import ModelSpec
from ablate_awq import Awq

RECIPE = 1  # raised when quantize.py changes what it writes


def quantized(options: Awq, model: ModelSpec, device: str) -> Path:
    """Folder of the AWQ checkpoint of ``model``, in Hugging Face layout; made if it is missing."""
    source = source_folder(model)
    examples = calibration(options, model)
    inputs = {
        "recipe": RECIPE,
        "source": model_hashes(source),
        "options": asdict(options),
        "calibration": text_hash(examples),
        "versions": package_versions("gptqmodel", "torch", "transformers"),
    }
    spec = {
        "source": str(source),
        "bits": options.bits,
        "group_size": options.group_size,
        "seed": options.seed,
        "device": device,
        "examples": examples,
    }

    def build(folder: Path) -> None:
        request = folder / "request.json"
        request.write_text(json.dumps({**spec, "target": str(folder)}), encoding="utf-8")
        what = f"quantizing {model.name} with gptqmodel"
        run_module("ablate_awq.quantize", str(request), what, environment())
        request.unlink()

    return ensure(Artifact("awq", inputs), build)


def calibration(options: Awq, model: ModelSpec) -> Sequence[tuple[str, str]]:
    """The (prompt, completion) pairs that the scales are searched on."""
    draw = model.calibration
    examples = draw(options.calibration_samples, options.seed) if draw else ()
    if not examples:
        raise TrialError(
            "AWQ needs calibration text, and none of the recipe's domains has worked training "
            "examples; add a domain that has, such as 'arithmetic' or 'logic', or a data set with "
            "a training split"
        )
    return [(prompt, completion) for prompt, completion in examples]


def environment() -> dict[str, str]:
    """What gptqmodel reads when it is imported: its workers, and that it is to fetch nothing."""
    workers = str(min(2, os.cpu_count() or 1))
    return {"GPTQMODEL_CPU_WORKERS": workers, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "0"}
