"""The in-process engine, opened: the four hook points are asked here, once a trial."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import torch

from ablate.engines.base import EngineContext, Session
from ablate.engines.local import LocalEngine
from ablate.engines.local.clock import Clock, WallClock
from ablate.engines.local.fused import pack_output
from ablate.engines.local.interfaces import DecodeStep, KVStore, Sampler
from ablate.engines.local.loading import load_model, resolve_device
from ablate.engines.local.loop import Loop, Parts, counters
from ablate.engines.local.runner import ModelRunner
from ablate.engines.local.sampler import SeededSampler
from ablate.engines.local.scheduler import QueueScheduler
from ablate.engines.local.slots import SlotStore
from ablate.engines.local.step import VerifyingStep
from ablate.engines.text import Codebook, longest_of
from ablate.errors import TrialError
from ablate.tensors import held_bytes
from ablate.types import Completion, EvidenceState, Limits, Load, Problem, Usage

GIB = 1 << 30


def default_cache(model: Any, limits: Limits) -> KVStore:
    return SlotStore(model, limits)


def default_step(model: Any, cache: KVStore, sampler: Sampler) -> DecodeStep:
    return VerifyingStep(ModelRunner(model, cache), sampler)


def default_scheduler(cache: KVStore, limits: Limits) -> QueueScheduler:
    return QueueScheduler(cache, limits)


class LocalSession(Session):
    """A model with its cache, step and scheduler."""

    def __init__(
        self, options: LocalEngine, context: EngineContext, clock: Clock | None = None
    ) -> None:
        if options.threads:
            torch.set_num_threads(options.threads)
        self._context = context
        self._clock = clock or WallClock()
        plugins = context.plugins
        self._device = resolve_device(options.device)
        self.model = plugins.component(
            "ablate_load_model", load_model, model=context.model, device=self._device
        )
        if options.pack_output:
            pack_output(self.model)
        self._limits = self._make_limits(options)
        cache = plugins.component(
            "ablate_setup_cache", default_cache, model=self.model, limits=self._limits
        )
        codebook = Codebook(context.model, self.model.generation_config)
        step = plugins.component(
            "ablate_decode_step",
            default_step,
            model=self.model,
            cache=cache,
            sampler=SeededSampler(context.sampling),
            codebook=codebook,
        )
        cache.set_aside(step.kv_bytes_per_token)
        limits = replace(self._limits, num_lookahead_tokens=step.lookahead)
        scheduler = plugins.component(
            "ablate_schedule", default_scheduler, cache=cache, limits=limits
        )
        self._parts = Parts(cache, step, scheduler, codebook)
        self._next_id = 0
        self._counted: Mapping[str, float] = {}

    def _make_limits(self, options: LocalEngine) -> Limits:
        config = self.model.config.get_text_config()
        return Limits(
            max_num_seqs=min(options.max_num_seqs, self._context.max_concurrency),
            max_num_batched_tokens=options.max_num_batched_tokens,
            max_model_len=options.max_model_len or config.max_position_embeddings,
            kv_cache_memory_bytes=round(options.kv_cache_gib * GIB),
        )

    @property
    def weight_bytes(self) -> int | None:
        # asked for at the end: some libraries pack their weights anew at the first forward pass
        return held_bytes(self.model) + self._parts.step.weight_bytes

    @property
    def info(self) -> Mapping[str, str]:
        return {
            "engine": "local",
            "device": self._device,
            "dtype": str(self.model.dtype).removeprefix("torch."),
            "threads": str(torch.get_num_threads()),
            "torch": torch.__version__,
        }

    def run(
        self,
        load: Load,
        on_completion: Callable[[Completion], None],
        on_usage: Callable[[Usage], None],
    ) -> Mapping[str, float]:
        asked = [request.problem for request in load.requests]
        prompts = [self._parts.codebook.prompt(problem) for problem in asked]
        self._check_lengths(asked, prompts)
        self._parts.cache.reset()
        before = counters(self._parts)
        loop = Loop(self._parts, self._clock, self._context.sampling, on_completion, on_usage)
        loop.run(load, prompts, self._next_id)
        self._next_id += len(prompts)
        after = counters(self._parts)
        self._counted = {k: v - before.get(k, 0.0) for k, v in after.items()}
        return self._counted

    def _check_lengths(self, asked: Sequence[Problem], prompts: Sequence[list[int]]) -> None:
        """Refuse a load that can never be served, before any of it is."""
        longest = longest_of(asked, prompts, self._context.sampling)
        if longest.tokens > self._limits.max_model_len:
            raise TrialError(
                f"{longest} exceed the {self._limits.max_model_len} tokens that the model allows; "
                "lower sampling.max_tokens"
            )
        cache, most = self._parts.cache, longest.tokens + self._parts.step.lookahead
        if not cache.fits([most]):
            raise TrialError(
                f"a request of {most} tokens does not fit into the KV cache of "
                f"{self._limits.kv_cache_memory_bytes / GIB:.2g} GiB; raise "
                "engine.local.kv_cache_gib",
                "out_of_memory",
            )

    def evidence_state(self, stage: Literal["warmup", "measured"]) -> EvidenceState:
        parts = self._parts
        return EvidenceState(
            engine="local",
            stage=stage,
            components={
                "model": self.model,
                "cache": parts.cache,
                "step": parts.step,
                "scheduler": parts.scheduler,
            },
            counters=self._counted,
        )

    def close(self) -> None:
        """Nothing outlives the trial's process."""
