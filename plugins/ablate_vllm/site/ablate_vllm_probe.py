"""What a vLLM worker says of itself, asked for by ``collective_rpc("ablate_facts")``.

Mixed into vLLM's workers as ``worker_extension_cls``: it runs where the model is, so that evidence
comes from the layers and caches that serve, not from arguments that were accepted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import torch
from ablate_layers import held_bytes, look
from torch import nn


class Probe:
    """One worker's share; ranks of one model are summed by whoever asked."""

    vllm_config: Any
    model_runner: Any

    def ablate_facts(self) -> dict[str, Any]:
        """JSON values: see ``ablate.types.EngineFacts``."""
        layers = look(self.model_runner.get_model(), *self._drafting())
        return {
            "settings": _settings(self.vllm_config),
            "linears": layers.linears,
            "quantized": layers.quantized,
            "weight_bytes": layers.weight_bytes,
            "kv_bytes": held_bytes(_tensors(self.model_runner.kv_caches)),
            "rank": int(getattr(self, "rank", 0)),
        }

    def _drafting(self) -> Iterator[nn.Module]:
        """The draft model, where there is one."""
        drafter = getattr(self.model_runner, "drafter", None)
        drafting = getattr(drafter, "model", None)
        if isinstance(drafting, nn.Module):
            yield drafting


def _tensors(caches: Any) -> Iterator[torch.Tensor]:
    if isinstance(caches, torch.Tensor):
        yield caches
    elif isinstance(caches, dict):
        yield from _tensors(list(caches.values()))
    elif isinstance(caches, Iterable):
        for cache in caches:
            yield from _tensors(cache)


def _settings(config: Any) -> dict[str, Any]:
    """The arguments as vLLM resolved them, under the names of its engine arguments."""
    cache, scheduler, parallel = (
        config.cache_config,
        config.scheduler_config,
        config.parallel_config,
    )
    settings = {
        "kv_cache_dtype": cache.cache_dtype,
        "block_size": cache.block_size,
        "num_gpu_blocks": cache.num_gpu_blocks,
        "enable_prefix_caching": cache.enable_prefix_caching,
        "max_num_seqs": scheduler.max_num_seqs,
        "max_num_batched_tokens": scheduler.max_num_batched_tokens,
        "enable_chunked_prefill": scheduler.enable_chunked_prefill,
        "scheduling_policy": scheduler.policy,
        "tensor_parallel_size": parallel.tensor_parallel_size,
        "pipeline_parallel_size": parallel.pipeline_parallel_size,
        "data_parallel_size": parallel.data_parallel_size,
        "enforce_eager": config.model_config.enforce_eager,
        "quantization": config.model_config.quantization,
        "dtype": config.model_config.dtype,
        "max_model_len": config.model_config.max_model_len,
        "compilation_mode": config.compilation_config.mode,
        "attention_backend": getattr(config.attention_config, "backend", None),
    }
    speculative = config.speculative_config
    if speculative is not None:
        settings["speculative_config.method"] = speculative.method
        settings["speculative_config.num_speculative_tokens"] = speculative.num_speculative_tokens
    return {name: _plain(value) for name, value in settings.items()}


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, torch.dtype):
        return str(value).removeprefix("torch.")
    return str(getattr(value, "name", value))
