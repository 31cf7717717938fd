"""How `ablate` starts LMDeploy's server, what it understands, and what it says of itself."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ablate.engines.server.launchers import NO_FILTERS, Dialect, FactsCall, Launcher
from ablate.plugins import Registry, hookimpl
from ablate.types import EngineFacts


def facts(answer: Mapping[str, Any]) -> EngineFacts:
    """The engine's settings under the names of LMDeploy's arguments, and the size of its cache.

    Only its PyTorch engine tells how many blocks of keys and values it has.
    """
    block = answer.get("cache_block_seq_len", answer.get("block_size"))
    tokens = (answer.get("num_gpu_blocks") or 0) * (block or 0)
    settings = {**answer, "cache_block_seq_len": block}
    return EngineFacts(settings, kv_cache_tokens=tokens or None)


LAUNCHER = Launcher(
    command=(
        "{python}", "-m", "ablate_lmdeploy_probe", "serve", "api_server", "{model}",
        "--server-name", "127.0.0.1", "--server-port", "{port}",
    ),
    # else the model's generation_config.json adds its penalties
    defaults={"generation_config": "lmdeploy"},
    from_model={
        "dtype": "dtype", "revision": "revision", "trust_remote_code": "trust_remote_code",
    },
    facts=FactsCall("/ablate/settings", None, facts),
    env={"PYTHONPATH": str(Path(__file__).with_name("site"))},
    distributions=("lmdeploy",),
    install="pip install lmdeploy",
    dialect=Dialect(
        owner="lmdeploy",
        counts_end=False,
        fields={**NO_FILTERS, "top_k": 0, "stream_options": {"include_usage": True}},
        gauges={
            "lmdeploy:num_requests_running": "running",
            "lmdeploy:num_requests_waiting": "waiting",
            "lmdeploy:gpu_cache_usage_perc": "kv_share",
        },
        counters={
            "lmdeploy:prompt_tokens_total": "prefix_cache_queries",
            "lmdeploy:cached_tokens_total": "prefix_cache_hits",
            "lmdeploy:spec_decode_num_drafts_total": "spec_num_drafts",
            "lmdeploy:spec_decode_num_draft_tokens_total": "spec_num_draft_tokens",
            "lmdeploy:spec_decode_num_accepted_tokens_total": "spec_num_accepted_tokens",
        },
    ),
)  # fmt: skip


@hookimpl
def ablate_register(registry: Registry) -> None:
    registry.add("launcher", "lmdeploy", LAUNCHER)
