"""8-bit floats for the KV cache."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args

from ablate.evidence import resolved, told
from ablate.plugins import Plugin, hookimpl
from ablate.types import EngineFacts, Evidence, EvidenceState, Limits, ModelSpec

if TYPE_CHECKING:
    from ablate.engines.local.interfaces import KVStore

DType = Literal["fp8", "fp8_e4m3", "fp8_e5m2"]
DTYPES: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "vllm": ("kv_cache_dtype", {name: name for name in get_args(DType)}),
    "sglang": (
        "kv_cache_dtype",
        {"fp8": "fp8_e4m3", "fp8_e4m3": "fp8_e4m3", "fp8_e5m2": "fp8_e5m2"},
    ),
    # LMDeploy turns names into these numbers
    "lmdeploy": ("quant_policy", {"fp8": 16, "fp8_e4m3": 16, "fp8_e5m2": 17}),
}
ALIASES = frozenset({"fp8", "fp8_e4m3"})


@dataclass(frozen=True)
class KvFp8(Plugin):
    """Keep keys and values as 8-bit floats.

    ``dtype``: ``fp8_e4m3`` (``fp8`` is the same), or ``fp8_e5m2`` with more range and less
    precision. Numbers are stored as they are, without a scale; in-process, those beyond the type's
    largest (448 and 57344) become that.
    """

    dtype: DType = "fp8"

    source: ClassVar[str] = "Micikevicius et al. 2022, FP8 Formats for Deep Learning (2209.05433)"

    def __post_init__(self) -> None:
        if self.dtype not in get_args(DType):
            raise ValueError(
                f"dtype must be one of {', '.join(get_args(DType))}, not {self.dtype!r}"
            )

    @hookimpl
    def ablate_setup_cache(self, model: Any, limits: Limits) -> KVStore:
        from ablate.engines.local.slots import SlotStore
        from ablate_kv_fp8.codec import Float8

        return SlotStore(model, limits, Float8(self.dtype))

    @hookimpl
    def ablate_engine_args(self, engine: str, model: ModelSpec) -> Mapping[str, Any] | None:
        if engine not in DTYPES:
            return None
        name, values = DTYPES[engine]
        return {name: values[self.dtype]}

    @hookimpl
    def ablate_evidence(self, state: EvidenceState) -> Evidence:
        if state.engine == "local":
            from ablate.engines.local.kv_bytes import in_fewer

            return in_fewer("kv_fp8", state)
        name, values = DTYPES[state.engine]
        value = values[self.dtype]
        said = told(state).get(name)
        if said in ALIASES and value in ALIASES:
            value = said
        return _with_bytes(resolved("kv_fp8", state, {name: value}), state)


def _with_bytes(evidence: Evidence, state: EvidenceState) -> Evidence:
    facts = state.components.get("facts")
    if not isinstance(facts, EngineFacts) or facts.kv_bytes_per_token is None:
        return evidence
    held = facts.kv_bytes_per_token
    return replace(
        evidence,
        detail=f"{evidence.detail}; {held:.0f} bytes of KV per token",
        numbers={**evidence.numbers, "kv_bytes_per_token": held},
    )
