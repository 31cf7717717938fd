"""KV cache quantization to 2 or 4 bits, after KIVI."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

from ablate.evidence import undecided
from ablate.plugins import Plugin, hookimpl
from ablate.types import Evidence, EvidenceState, Limits, Requirements

if TYPE_CHECKING:
    from ablate.engines.local.interfaces import KVStore

BITS = (2, 4)
LEAST = 8  # tokens of a group; of fewer, zero points and steps take more than the codes save


@dataclass(frozen=True)
class Kivi(Plugin):
    """Keep the keys and values of all but the newest tokens in ``bits`` bits, 2 or 4.

    ``group_size``: how many tokens of one channel of the keys share a zero point and a step, and
    how many channels of one token of the values. ``residual``: the newest tokens, that many at
    least, stay as they were computed.
    """

    bits: int = 2
    group_size: int = 32
    residual: int = 128

    source: ClassVar[str] = "Liu et al. 2024, KIVI (2402.02750)"
    example: ClassVar[Mapping[str, Any]] = MappingProxyType(
        {"bits": 4, "group_size": 8, "residual": 8}
    )

    def __post_init__(self) -> None:
        if self.bits not in BITS:
            raise ValueError(f"bits must be 2 or 4, not {self.bits}")
        if self.group_size < LEAST:
            raise ValueError(f"group_size must be at least {LEAST}, not {self.group_size}")
        if self.residual < 1:
            raise ValueError(f"residual must be at least 1, not {self.residual}")

    @hookimpl
    def ablate_requirements(self, engine: str) -> Requirements:
        # a block of a prompt need not begin or end where a group does
        return Requirements(drops=frozenset({"shared_blocks"}))

    @hookimpl
    def ablate_setup_cache(self, model: Any, limits: Limits) -> KVStore:
        from ablate.engines.local.slots import CacheShape
        from ablate_kivi.form import Form
        from ablate_kivi.store import KiviStore

        form = Form.of(CacheShape.of(model), self.bits, self.group_size)
        return KiviStore(model, limits, form, self.residual)

    @hookimpl
    def ablate_evidence(self, state: EvidenceState) -> Evidence:
        from ablate.engines.local.kv_bytes import held_and_full

        held, full = held_and_full(state)
        quantized = state.counters.get("kv_quantized_tokens", 0.0)
        written = state.counters.get("kv_written_tokens", 0.0)
        return Evidence(
            "kivi",
            held < full if quantized else undecided(state),
            f"{quantized:.0f} of {written:.0f} tokens were quantized, to {held:.0f} bytes of KV "
            f"instead of {full}; the newest {self.residual} of a sequence never are",
            {
                "kv_bytes_per_token": held,
                "kv_bytes_per_token_full": full,
                "kv_quantized_share": quantized / written if written else 0.0,
            },
        )
