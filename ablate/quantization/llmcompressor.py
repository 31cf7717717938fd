"""Quantizing with llm-compressor, whose pins (transformers) rarely suit an engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

from ablate.plugins import hookimpl
from ablate.quantization import served
from ablate.quantization.offline import Library, Offline
from ablate.types import Evidence, EvidenceState, Requirements

MAKE = "python -m venv llmcompressor && llmcompressor/bin/pip install llmcompressor"


def missing(plugin: str) -> Requirements:
    """A problem with its remedy where this interpreter has not the library."""
    if find_spec("llmcompressor") is not None:
        return Requirements()
    problem = (
        f"llmcompressor is not installed, and its pins may not suit this environment: make it one "
        f"({MAKE}) and name its interpreter, {plugin}: {{python: llmcompressor/bin/python}}"
    )
    return Requirements(problems=(problem,))


LIBRARY = Library(
    "llm-compressor",
    ("llmcompressor", "compressed-tensors", "torch", "transformers"),
    MAKE,
    missing,
    Path(__file__).with_name("oneshot.py"),
    ("vllm", "sglang"),
    {"HF_HUB_OFFLINE": "1"},
)


@dataclass(frozen=True)
class Compressed(Offline):
    """What the plugins that llm-compressor quantizes for have in common."""

    bits: ClassVar[int]
    library: ClassVar[Library] = LIBRARY

    def modifiers(self) -> Mapping[str, Mapping[str, Any]]:
        """llm-compressor's modifiers in order: class name -> arguments."""
        raise NotImplementedError

    @hookimpl
    def ablate_evidence(self, state: EvidenceState) -> Evidence:
        return served.evidence(self.method, state, self.bits)

    def options(self) -> Mapping[str, Any]:
        return {"modifiers": self.modifiers()}

    def asked(self, device: str | None) -> Mapping[str, Any]:
        return {**self.options(), "seed": self.seed if self.calibrated else 0}
