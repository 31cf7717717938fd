"""Weights quantized by torchao while the model is loaded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal, get_args

from ablate.plugins import Plugin, hookimpl
from ablate.quantization import served
from ablate.quantization.extras import requirements
from ablate.types import Evidence, EvidenceState, ModelSpec, Requirements

Scheme = Literal["int8", "int4", "int8_dynamic", "float8", "float8_dynamic"]
BITS = {"int8": 8, "int4": 4, "int8_dynamic": 8, "float8": 8, "float8_dynamic": 8}
GROUP_SIZES = (32, 64, 128)


@dataclass(frozen=True)
class Torchao(Plugin):
    """Quantize every linear layer but the output layer by a ``scheme`` of torchao.

    ``int8``, ``int4``, ``float8``: the weights alone; ``int8_dynamic``, ``float8_dynamic``: also
    the layers' inputs, with a scale for each token. ``group_size``: weights of a row that share a
    scale, for ``int4``. ``compile``: compile the quantized layers with torch.compile.
    """

    scheme: Scheme = "int8"
    group_size: int = 64
    compile: bool = False

    source: ClassVar[str] = "github.com/pytorch/ao; Dettmers et al. 2022 (2208.07339) for int8"

    def __post_init__(self) -> None:
        if self.scheme not in get_args(Scheme):
            raise ValueError(f"scheme must be one of {', '.join(BITS)}, not {self.scheme!r}")
        if self.group_size not in GROUP_SIZES:
            sizes = ", ".join(map(str, GROUP_SIZES))
            raise ValueError(f"group_size must be one of {sizes}, not {self.group_size}")

    @hookimpl
    def ablate_requirements(self, engine: str) -> Requirements:
        return requirements("torchao", ["torchao"])

    @hookimpl
    def ablate_load_model(self, model: ModelSpec, device: str) -> Any:
        from ablate.engines.local.loading import load_model
        from ablate_torchao.quantize import quantize

        loaded = load_model(model, device)
        quantize(loaded, self.scheme, self.group_size, self.compile)
        return loaded

    @hookimpl
    def ablate_evidence(self, state: EvidenceState) -> Evidence:
        return served.evidence("torchao", state, BITS[self.scheme])
