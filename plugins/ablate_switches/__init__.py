"""Switches of engines that own their loop: batch, chunked prefill, policy, parallelism.

Each says what it asks of a back end; that it took effect is read from the settings that the engine
reports once it is up.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar

from ablate.evidence import told
from ablate.plugins import hookimpl
from ablate.types import Evidence, EvidenceState
from ablate_switches.names import named
from ablate_switches.switch import Switch


@dataclass(frozen=True)
class MaxNumSeqs(Switch):
    """Decode at most ``n`` sequences together."""

    n: int

    name: ClassVar[str] = "max_num_seqs"
    source: ClassVar[str] = "iteration-level batching: Yu et al. 2022, Orca (OSDI '22)"
    lossless: ClassVar[bool] = True
    example: ClassVar[Mapping[str, Any]] = {"n": 8}

    def __post_init__(self) -> None:
        _at_least_one(self)

    def arguments(self, backend: str) -> Mapping[str, Any] | None:
        return named(backend, {"max_num_seqs": self.n})


@dataclass(frozen=True)
class ChunkedPrefill(Switch):
    """Compute prompts in chunks of ``max_num_batched_tokens`` beside decoding, or whole.

    On is what every engine does by itself: a level that differs is ``enabled: false`` or a size.
    With ``enabled: false``, vLLM's size is that of a step, which holds a whole prompt.
    """

    enabled: bool = True
    max_num_batched_tokens: int | None = None

    name: ClassVar[str] = "chunked_prefill"
    source: ClassVar[str] = "Agrawal et al. 2024, Sarathi-Serve (2403.02310)"
    lossless: ClassVar[bool] = True
    example: ClassVar[Mapping[str, Any]] = {"max_num_batched_tokens": 2048}

    def __post_init__(self) -> None:
        size = self.max_num_batched_tokens
        if size is not None and size < 1:
            raise ValueError(f"max_num_batched_tokens must be at least 1, not {size}")

    def arguments(self, backend: str) -> Mapping[str, Any] | None:
        size = self.max_num_batched_tokens
        sized = {} if size is None else {"max_num_batched_tokens": size}
        if backend == "vllm":
            return named(backend, {"chunked_prefill": self.enabled, **sized})
        if self.enabled:
            return named(backend, sized)
        if backend == "sglang" and size is None:
            return named(backend, {"max_num_batched_tokens": -1})
        return None


POLICIES: Mapping[str, frozenset[str]] = {
    "vllm": frozenset({"fcfs", "priority"}),
    "sglang": frozenset(
        {"dfs-weight", "fcfs", "hrrn", "lof", "lpm", "random", "shortest-prefill-first"}
    ),
}
# SGLang takes fcfs in their place when it caches no prefixes, and still reports their name.
BY_PREFIX = frozenset({"dfs-weight", "hrrn", "lpm", "shortest-prefill-first"})


@dataclass(frozen=True)
class SchedulePolicy(Switch):
    """Admit waiting requests by ``policy``: a name of the back end's, such as ``lpm`` of SGLang."""

    policy: str

    name: ClassVar[str] = "schedule_policy"
    source: ClassVar[str] = "longest prefix match: Zheng et al. 2023, SGLang (2312.07104)"
    lossless: ClassVar[bool] = True
    example: ClassVar[Mapping[str, Any]] = {"policy": "fcfs"}

    def __post_init__(self) -> None:
        known = sorted(frozenset().union(*POLICIES.values()))
        if self.policy not in known:
            raise ValueError(f"policy must be one of {', '.join(known)}, not {self.policy!r}")

    def arguments(self, backend: str) -> Mapping[str, Any] | None:
        if self.policy not in POLICIES.get(backend, ()):
            return None
        return named(backend, {"policy": self.policy})

    @hookimpl
    def ablate_evidence(self, state: EvidenceState) -> Evidence:
        evidence = super().ablate_evidence(state)
        if self.policy not in BY_PREFIX or not told(state).get("disable_radix_cache"):
            return evidence
        why = "SGLang takes fcfs instead while it caches no prefixes: add prefix_cache"
        return replace(evidence, applied=False, detail=f"{evidence.detail}; {why}")


@dataclass(frozen=True)
class Parallel(Switch):
    """Spread the model over ``tensor`` x ``pipeline`` accelerators, ``data`` times."""

    tensor: int = 1
    pipeline: int = 1
    data: int = 1

    name: ClassVar[str] = "parallel"
    source: ClassVar[str] = "Shoeybi et al. 2019, Megatron-LM (1909.08053)"
    example: ClassVar[Mapping[str, Any]] = {"tensor": 2}

    def __post_init__(self) -> None:
        _at_least_one(self)
        if not self._sizes():
            raise ValueError("one of tensor, pipeline and data must be more than 1")

    def arguments(self, backend: str) -> Mapping[str, Any] | None:
        return named(backend, self._sizes())

    def _sizes(self) -> Mapping[str, int]:
        return {name: size for name, size in asdict(self).items() if size > 1}


def _at_least_one(switch: Switch) -> None:
    for name, value in asdict(switch).items():
        if value < 1:
            raise ValueError(f"{name} must be at least 1, not {value}")
