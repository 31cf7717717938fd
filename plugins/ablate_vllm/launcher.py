"""How `ablate` starts vLLM's OpenAI-compatible server and what it understands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ablate.engines.server.launchers import NO_FILTERS, Dialect, FactsCall, Launcher
from ablate.plugins import Registry, hookimpl
from ablate.types import EngineFacts
from ablate_vllm import DISTRIBUTIONS, INSTALL, baseline, known
from ablate_vllm.facts import facts, replicated


def _facts(answer: Any) -> EngineFacts:
    return facts(answer["results"])


def _unchecked(version: str, args: Mapping[str, Any]) -> list[str]:
    return known.problems(version, args, known.platform())


LAUNCHER = Launcher(
    command=(
        "{python}", "-m", "vllm.entrypoints.cli.main", "serve", "{model}",
        "--host", "127.0.0.1", "--port", "{port}",
    ),
    booleans="negated",
    defaults={
        **baseline.ARGS,
        "enable_prompt_tokens_details": True,
        "generation_config": "vllm",  # else the model's generation_config.json adds top-k
    },
    from_model={
        "tokenizer": "path", "dtype": "dtype", "revision": "revision",
        "tokenizer_revision": "revision", "trust_remote_code": "trust_remote_code",
    },
    no_pickles=baseline.SAFE,
    facts=FactsCall("/collective_rpc", {"method": "ablate_facts"}, _facts),
    replicated=replicated,
    distributions=DISTRIBUTIONS,
    install=INSTALL,
    unchecked=_unchecked,
    env={
        **baseline.QUIET,
        "PYTHONPATH": baseline.PYTHONPATH,
        "VLLM_SERVER_DEV_MODE": "1",  # emptying the prefix cache, and asking for facts
    },
    on_cpu=baseline.ON_CPU,
    cpu_env={"VLLM_CPU_KVCACHE_SPACE": "1"},
    dialect=Dialect(
        owner="vllm",
        token_prompts=True,
        stop_ids="stop_token_ids",
        fields={
            **NO_FILTERS,
            "return_token_ids": True,
            "stream_options": {"include_usage": True},
        },
        flush="/reset_prefix_cache",
        flushed='"success":true',
        gauges={
            "vllm:num_requests_running": "running",
            "vllm:num_requests_waiting": "waiting",
            "vllm:kv_cache_usage_perc": "kv_share",
        },
        counters={
            "vllm:spec_decode_num_drafts_total": "spec_num_drafts",
            "vllm:spec_decode_num_draft_tokens_total": "spec_num_draft_tokens",
            "vllm:spec_decode_num_accepted_tokens_total": "spec_num_accepted_tokens",
            "vllm:prefix_cache_queries_total": "prefix_cache_queries",
            "vllm:prefix_cache_hits_total": "prefix_cache_hits",
            "vllm:num_preemptions_total": "num_preemptions",
        },
    ),
)  # fmt: skip


@hookimpl
def ablate_register(registry: Registry) -> None:
    registry.add("launcher", "vllm", LAUNCHER)
