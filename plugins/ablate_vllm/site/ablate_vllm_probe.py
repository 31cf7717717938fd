"""What a vLLM worker says of itself, asked for by ``collective_rpc("ablate_facts")``.

Mixed into vLLM's workers as ``worker_extension_cls``: it runs where the model is, so that evidence
comes from the layers and caches that serve, not from arguments that were accepted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import nn

# Tensors in which some format keeps codes; floats of 8 bits and integers elsewhere are codes, too.
CODES = frozenset({"qweight", "weight_packed", "packed"})
CODE_DTYPES = frozenset(
    getattr(torch, name)
    for name in ("int8", "uint8", "int32", "float8_e4m3fn", "float8_e5m2")
    if hasattr(torch, name)
)


class Probe:
    """One worker's share; ranks of one model are summed by whoever asked."""

    vllm_config: Any
    model_runner: Any

    def ablate_facts(self) -> dict[str, Any]:
        """JSON values: see ``ablate.types.EngineFacts``."""
        model = self.model_runner.get_model()
        linears = [m for m in model.modules() if hasattr(m, "quant_method") and _is_linear(m)]
        kernels = Counter(_kernel(m) for m in linears)
        return {
            "settings": _settings(self.vllm_config),
            "linears": dict(kernels),
            "quantized": sum(_has_codes(m) for m in linears),
            "weight_bytes": sum(_bytes(m) for m in self._models(model)),
            "kv_bytes": sum(_held(t) for t in _tensors(self.model_runner.kv_caches)),
            "rank": int(getattr(self, "rank", 0)),
        }

    def _models(self, model: nn.Module) -> Iterator[nn.Module]:
        """The model and, where one drafts, the draft model."""
        yield model
        drafter = getattr(self.model_runner, "drafter", None)
        drafting = getattr(drafter, "model", None)
        if isinstance(drafting, nn.Module):
            yield drafting


def _is_linear(module: nn.Module) -> bool:
    names = {cls.__name__ for cls in type(module).__mro__}
    return "LinearBase" in names


def _kernel(module: Any) -> str:
    """What multiplies by the weights; 4-bit layers that round their inputs to 8 bits say so."""
    parts = [type(part).__name__ for part in (module.quant_method, *_inner(module))]
    return "/".join(parts) + (" (w4a8)" if getattr(module, "use_w4a8", False) else "")


def _inner(module: Any) -> Iterator[Any]:
    """compressed-tensors' scheme and the kernel that a method or scheme has chosen."""
    scheme = getattr(module, "scheme", None)
    if scheme is not None:
        yield scheme
    kernel = getattr(scheme or module.quant_method, "kernel", None)
    if kernel is not None:
        yield kernel


def _has_codes(module: nn.Module) -> bool:
    if any(getattr(part, "dnnl_handler", None) is not None for part in _inner(module)):
        return True  # of 8-bit integers, packed by oneDNN
    for name, tensor in _own(module):
        if name in CODES or (name.startswith("weight") and tensor.dtype in CODE_DTYPES):
            return True
    return False


def _own(module: nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    yield from module.named_parameters(recurse=False)
    yield from module.named_buffers(recurse=False)


def _bytes(model: nn.Module) -> int:
    """Bytes of weights: parameters, buffers and what CPU kernels packed; shared storage once."""
    seen: dict[int, int] = {}
    for tensor in [*model.parameters(), *model.buffers()]:
        try:
            storage = tensor.untyped_storage()
            seen[storage.data_ptr() or id(tensor)] = storage.nbytes()
        except (RuntimeError, NotImplementedError):  # oneDNN's packed tensors have no storage
            seen[id(tensor)] = _held(tensor)
    return sum(seen.values()) + sum(_packed(module) for module in model.modules())


def _packed(module: Any) -> int:
    """On a CPU, vLLM keeps linear weights in oneDNN's layout, outside the module's parameters."""
    width = getattr(getattr(module, "params_dtype", None), "itemsize", 0)
    cells = getattr(getattr(module, "cpu_linear", None), "__closure__", None) or ()
    total = 0
    for held in (cell.cell_contents for cell in cells):
        if isinstance(held, torch.Tensor):
            total += _held(held)
        elif hasattr(held, "handler_tensor"):
            total += held.n * held.k * width
    if hasattr(module, "quant_method"):
        for part in _inner(module):
            handler = getattr(part, "dnnl_handler", None)  # of 8-bit integers
            total += handler.n * handler.k if handler is not None else 0
    return total


def _tensors(caches: Any) -> Iterator[torch.Tensor]:
    if isinstance(caches, torch.Tensor):
        yield caches
    elif isinstance(caches, dict):
        yield from _tensors(list(caches.values()))
    elif isinstance(caches, Iterable):
        for cache in caches:
            yield from _tensors(cache)


def _held(tensor: torch.Tensor) -> int:
    return tensor.numel() * tensor.element_size()


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
