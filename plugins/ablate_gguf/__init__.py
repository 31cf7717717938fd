"""Weights from a GGUF file, as llama.cpp's tools write them."""

from __future__ import annotations

from collections.abc import Mapping
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
        needed = PACKAGES if engine == "local" else ()  # a server has its own reader
        problems = [*requirements("gguf", needed).problems]
        if not Path(self.file).expanduser().is_file():
            problems.append(f"gguf.file: there is no file {self.file}")
        return Requirements(problems=tuple(problems))

    @hookimpl
    def ablate_load_model(self, model: ModelSpec, device: str) -> Any:
        from ablate_gguf.weights import load  # torch: only when a trial opens

        return load(self._path, model, device)

    @hookimpl
    def ablate_engine_args(self, engine: str, model: ModelSpec) -> Mapping[str, Any] | None:
        return {"model": str(self._path)} if engine == "llama_cpp" else None

    @hookimpl
    def ablate_evidence(self, state: EvidenceState) -> Evidence:
        if state.engine != "local":
            return self._served(state)
        from ablate_gguf.weights import evidence

        return evidence(self._path, state.components["model"])

    def _served(self, state: EvidenceState) -> Evidence:
        serving = state.components["facts"].settings.get("model")
        detail = f"the server says that it serves {serving}"
        return Evidence("gguf", serving == str(self._path), detail)

    @property
    def _path(self) -> Path:
        return Path(self.file).expanduser().resolve()
