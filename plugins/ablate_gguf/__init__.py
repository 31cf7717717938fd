"""Weights from a GGUF file, as llama.cpp's tools write them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from ablate.plugins import Plugin, hookimpl
from ablate.quantization.extras import requirements
from ablate.types import Evidence, EvidenceState, ModelSpec, Requirements

PACKAGES = ("gguf", "accelerate")


@dataclass(frozen=True)
class Gguf(Plugin):
    """Take the weights from ``file``, a GGUF file of the same model (Q4_K_M, Q8_0 …).

    They are turned back into the model's dtype when they are loaded: this shows what the rounding
    does to the answers; memory and speed are those of the whole model.
    """

    file: str

    source: ClassVar[str] = "github.com/ggml-org/llama.cpp"

    @hookimpl
    def ablate_requirements(self, engine: str) -> Requirements:
        problems = [*requirements("gguf", PACKAGES).problems]
        if not Path(self.file).expanduser().is_file():
            problems.append(f"gguf.file: there is no file {self.file}")
        return Requirements(problems=tuple(problems))

    @hookimpl
    def ablate_load_model(self, model: ModelSpec, device: str) -> Any:
        from ablate_gguf.weights import load  # torch: only when a trial opens

        return load(Path(self.file).expanduser().resolve(), model, device)

    @hookimpl
    def ablate_evidence(self, state: EvidenceState) -> Evidence:
        from ablate_gguf.weights import evidence

        return evidence(Path(self.file).expanduser().resolve(), state.components["model"])
