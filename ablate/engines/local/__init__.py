"""The in-process engine: continuous batching over a transformers model, open at four hooks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ablate.engines.base import CAPABILITIES, Engine, EngineContext, Session
from ablate.plugins import Registry, hookimpl


@dataclass(frozen=True)
class LocalEngine(Engine):
    """Runs the model in the trial's own process, on CPU or CUDA.

    ``device``: ``auto``, ``cpu``, ``cuda``, ``cuda:1`` … ``threads``: torch's threads (None: all
    cores). ``max_num_seqs``: sequences decoded together. ``max_num_batched_tokens``: tokens of one
    step. ``max_model_len``: None is the model's own. ``kv_cache_gib``: GiB that keys
    and values may take, those of a draft model and of cached prefixes included. ``pack_output``: on
    a CPU, hold an output layer that is the embedding as well a second time, in the form in which
    it is fastest.
    """

    device: str = "auto"
    threads: int | None = None
    max_num_seqs: int = 64
    max_num_batched_tokens: int = 512
    max_model_len: int | None = None
    kv_cache_gib: float = 1.0
    pack_output: bool = False

    calls: ClassVar[frozenset[str]] = frozenset(
        {"ablate_load_model", "ablate_setup_cache", "ablate_decode_step", "ablate_schedule"}
    )
    capabilities: ClassVar[frozenset[str]] = CAPABILITIES
    preload: ClassVar[tuple[str, ...]] = ("ablate.engines.local.session",)

    def __post_init__(self) -> None:
        for name in ("max_num_seqs", "max_num_batched_tokens", "kv_cache_gib"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be more than 0")

    def open(self, context: EngineContext) -> Session:
        from ablate.engines.local.session import LocalSession  # torch: only when a trial opens

        return LocalSession(self, context)


@hookimpl
def ablate_register(registry: Registry) -> None:
    registry.add("engine", "local", LocalEngine)
