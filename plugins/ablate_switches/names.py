"""What each back end calls the options of the switches: a line for a back end, or for an option.

Checked in the sources of vLLM 0.32 (``EngineArgs``), SGLang 0.5.23 (``--help``) and LMDeploy 0.18
(``serve api_server --help``). llama.cpp's Python server has none of them: it answers one request at
a time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

NAMES: Mapping[str, Mapping[str, str]] = {
    "vllm": {
        "max_num_seqs": "max_num_seqs",
        "chunked_prefill": "enable_chunked_prefill",
        "max_num_batched_tokens": "max_num_batched_tokens",
        "policy": "scheduling_policy",
        "tensor": "tensor_parallel_size",
        "pipeline": "pipeline_parallel_size",
        "data": "data_parallel_size",
        "eager": "enforce_eager",
    },
    "sglang": {
        "max_num_seqs": "max_running_requests",
        "max_num_batched_tokens": "chunked_prefill_size",
        "policy": "schedule_policy",
        "tensor": "tp_size",
        "pipeline": "pp_size",
        "data": "dp_size",
        "compile": "enable_torch_compile",
    },
    "lmdeploy": {
        "max_num_seqs": "max_batch_size",
        "max_num_batched_tokens": "max_prefill_token_num",
        "tensor": "tp",
    },
}


def named(backend: str, options: Mapping[str, Any]) -> dict[str, Any] | None:
    """The options as the back end calls them; None if it lacks one, or if there are none."""
    names = NAMES.get(backend, {})
    if not options or not options.keys() <= names.keys():
        return None
    return {names[option]: value for option, value in options.items()}
