"""How `ablate` starts SGLang's server, what it understands, and what it says of itself."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ablate.engines.probes import python_path
from ablate.engines.server.launchers import NO_FILTERS, Dialect, FactsCall, Launcher
from ablate.plugins import Registry, hookimpl
from ablate.types import EngineFacts


def facts(answer: Mapping[str, Any]) -> EngineFacts:
    """What ``/get_server_info`` answers, with one state for each replica of data parallelism.

    The layers and caches of a replica's first rank are in ``ablate``; ranks of tensor parallelism
    hold equal parts. Where the model is split into stages (``pp_size``), attention alone is
    replicated, or SGLang is older than its plugins, nothing is known of its layers.
    """
    plain = {k: v for k, v in answer.items() if v is None or isinstance(v, (bool, int, float, str))}
    states = answer.get("internal_states") or [{}]
    tokens = (answer.get("max_total_num_tokens") or 0) * len(states)
    seen = [state.get("ablate") for state in states]
    if None in seen or answer.get("pp_size") not in (None, 1) or answer.get("enable_dp_attention"):
        return EngineFacts(plain, kv_cache_tokens=tokens or None)
    ranks = answer.get("tp_size") or 1
    rows = tokens + (answer.get("page_size") or 0) * len(states)  # one page each is for padding
    held = sum(state["kv_bytes"] for state in seen) * ranks
    return EngineFacts(
        settings=plain,
        linears=seen[0]["linears"],
        quantized=seen[0]["quantized"],
        weight_bytes=sum(state["weight_bytes"] for state in seen) * ranks,
        kv_bytes_per_token=held / rows if tokens else None,
        kv_cache_tokens=tokens or None,
    )


LAUNCHER = Launcher(
    command=(
        "{python}", "-m", "sglang.launch_server", "--model-path", "{model}",
        "--host", "127.0.0.1", "--port", "{port}",
    ),
    defaults={
        "disable_radix_cache": True,
        "enable_metrics": True,
        "enable_cache_report": True,
        "sampling_defaults": "openai",  # else the model's generation_config.json adds top-k
    },
    from_model={
        "tokenizer_path": "path", "dtype": "dtype", "revision": "revision",
        "trust_remote_code": "trust_remote_code",
    },
    no_pickles={"load_format": "safetensors"},
    facts=FactsCall("/get_server_info", None, facts),
    distributions=("sglang",),
    install="pip install sglang",
    on_cpu={"device": "cpu", "mem_fraction_static": 0.5, "max_total_tokens": 32768},
    cpu_env={"SGLANG_USE_CPU_ENGINE": "1"},
    env={"PYTHONPATH": python_path(Path(__file__).with_name("site"))},
    dialect=Dialect(
        owner="sglang",
        token_prompts=True,
        stop_ids="stop_token_ids",
        fields={
            **NO_FILTERS,
            "stream_options": {"include_usage": True, "continuous_usage_stats": True},
            "return_spec_tokens_details": True,
        },
        flush="/flush_cache",
        flushed="Cache flushed",
        gauges={
            "sglang:num_running_reqs": "running",
            "sglang:num_queue_reqs": "waiting",
            "sglang:token_usage": "kv_share",
            "sglang:num_used_tokens": "kv_tokens",
            "sglang:max_total_num_tokens": "kv_capacity",
        },
        counters={
            "sglang:prompt_tokens_total": "prefix_cache_queries",
            "sglang:cached_tokens_total": "prefix_cache_hits",
            "sglang:num_retracted_requests_total": "num_preemptions",
        },
    ),
)  # fmt: skip


@hookimpl
def ablate_register(registry: Registry) -> None:
    registry.add("launcher", "sglang", LAUNCHER)
