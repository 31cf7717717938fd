"""Quantizing with gptqmodel.

Importing it changes the environment (also ``HF_HOME``), transformers and logging, and starts
threads. It pins numpy.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from ablate.plugins import hookimpl
from ablate.quantization import served
from ablate.quantization.calibration import DOMAINS, OWN
from ablate.quantization.extras import requirements
from ablate.quantization.offline import Library, Offline
from ablate.types import Evidence, EvidenceState

LIBRARY = Library(
    "gptqmodel",
    ("gptqmodel", "torch", "transformers"),
    "python -m venv quantizer && quantizer/bin/pip install gptqmodel accelerate",
    partial(requirements, packages=("gptqmodel", "accelerate")),
    Path(__file__).with_name("child_of_gptqmodel.py"),
    ("vllm", "sglang", "lmdeploy"),
    # its workers, and that it is to fetch nothing
    {
        "GPTQMODEL_CPU_WORKERS": str(min(2, os.cpu_count() or 1)),
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "0",
    },
)


@dataclass(frozen=True)
class OfGptqmodel(Offline):
    """What the plugins that gptqmodel quantizes for have in common."""

    bits: int = 4
    group_size: int = 64

    group_sizes: ClassVar[tuple[int, ...]]
    script: ClassVar[Path]
    """A file with ``quantize(request, rows)`` that imports nothing of ablate."""
    library: ClassVar[Library] = LIBRARY

    def __post_init__(self) -> None:
        if self.group_size not in self.group_sizes:
            sizes = ", ".join(map(str, self.group_sizes))
            raise ValueError(f"group_size must be one of {sizes}, not {self.group_size}")
        super().__post_init__()

    @hookimpl
    def ablate_evidence(self, state: EvidenceState) -> Evidence:
        return served.evidence(self.method, state, self.bits)

    def options(self) -> Mapping[str, Any]:
        options = asdict(self)
        del options["python"]  # where it is made is no part of what is made
        if self.calibration not in (DOMAINS, OWN):
            options["calibration"] = "file"  # its text counts, wherever it lies
        return options

    def asked(self, device: str | None) -> Mapping[str, Any]:
        where = device or _accelerator()
        return {**self.options(), "device": where, "script": str(self.script)}


def _accelerator() -> str:
    """What quantizing for another engine runs on: the device is no part of what comes out."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"
