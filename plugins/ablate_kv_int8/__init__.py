"""KV cache quantization to 8-bit integers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from ablate.plugins import Plugin, hookimpl
from ablate.types import Evidence, EvidenceState, Limits

if TYPE_CHECKING:
    from ablate.engines.local.interfaces import KVStore


@dataclass(frozen=True)
class KvInt8(Plugin):
    """Keep keys and values as 8-bit integers with one scale per token and head."""

    source: ClassVar[str] = "per-token symmetric int8, the baseline of KIVI (2402.02750)"

    @hookimpl
    def ablate_setup_cache(self, model: Any, limits: Limits) -> KVStore:
        from ablate.engines.local.slots import SlotStore
        from ablate_kv_int8.codec import Int8

        return SlotStore(model, limits, Int8())

    @hookimpl
    def ablate_evidence(self, state: EvidenceState) -> Evidence:
        from ablate.engines.local.kv_bytes import in_fewer

        return in_fewer("kv_int8", state)
