"""torch.compile, as engines that own their loop use it, and of the in-process engine's layers."""

from __future__ import annotations

import os
import shutil
import sysconfig
from collections.abc import Generator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from ablate.evidence import told
from ablate.plugins import hookimpl
from ablate.types import Evidence, EvidenceState, ModelSpec, Requirements
from ablate_switches.names import named
from ablate_switches.switch import Switch

if TYPE_CHECKING:
    from ablate.engines.local.interfaces import DecodeStep, KVStore, Sampler


@dataclass(frozen=True)
class Compile(Switch):
    """Compile the model with torch.compile (vLLM captures CUDA graphs with it), or not.

    ``enabled``: which of the two. In-process each decoder layer is compiled, around its attention.
    """

    enabled: bool = True

    name: ClassVar[str] = "compile"
    source: ClassVar[str] = "Ansel et al. 2024, PyTorch 2 (ASPLOS '24)"

    def arguments(self, backend: str) -> Mapping[str, Any] | None:
        if backend == "vllm":
            return named(backend, {"eager": not self.enabled})
        return named(backend, {"compile": self.enabled})

    @hookimpl
    def ablate_requirements(self, engine: str) -> Requirements:
        if engine != "local":
            return Requirements()
        if not self.enabled:
            return Requirements(
                problems=("engine 'local' compiles nothing by itself: leave enabled: false out",)
            )
        return Requirements(problems=tuple(_missing()))

    @hookimpl(wrapper=True)
    def ablate_load_model(self, model: ModelSpec, device: str) -> Generator[None, Any, Any]:
        from ablate_switches.regional import compile_layers

        loaded = yield
        compile_layers(loaded)
        return loaded

    @hookimpl(wrapper=True)
    def ablate_decode_step(
        self, model: Any, cache: KVStore, sampler: Sampler
    ) -> Generator[None, DecodeStep, DecodeStep]:
        from ablate_switches.regional import run_once

        step = yield
        run_once(model)  # compiled while the trial loads, not while it is measured
        return step

    @hookimpl
    def ablate_evidence(self, state: EvidenceState) -> Evidence:
        if state.engine == "local":
            from ablate_switches import regional

            return regional.evidence(state.components["model"])
        evidence = super().ablate_evidence(state)
        mode = told(state).get("compilation_mode")
        if not self.enabled or mode not in (0, "NONE"):
            return evidence
        detail = f"{evidence.detail}; compilation_mode is {mode}: nothing is compiled"
        return replace(evidence, applied=False, detail=detail)


def _missing() -> list[str]:
    """What torch.compile builds its code with and is not here; asked without torch."""
    compiler = os.environ.get("CXX", "g++")
    problems = []
    if shutil.which(compiler) is None:
        problems.append(
            f"torch.compile needs a C++ compiler and there is no {compiler}; install g++ "
            "(apt-get install g++) or name one in CXX"
        )
    if not Path(sysconfig.get_paths()["include"], "Python.h").exists():
        problems.append(
            "torch.compile needs Python's headers, and there is no Python.h; install them "
            "(apt-get install python3-dev)"
        )
    return problems
