"""8-bit floats in the KV cache: arguments and evidence."""

from __future__ import annotations

from typing import Any

import pytest

from ablate_kv_fp8 import DType, KvFp8
from tests.engines.serving import arguments, conflicts, state


@pytest.mark.parametrize(
    ("backend", "dtype", "expected"),
    [
        ("vllm", "fp8", {"kv_cache_dtype": "fp8"}),
        ("vllm", "fp8_e5m2", {"kv_cache_dtype": "fp8_e5m2"}),
        ("sglang", "fp8", {"kv_cache_dtype": "fp8_e4m3"}),
        ("sglang", "fp8_e5m2", {"kv_cache_dtype": "fp8_e5m2"}),
        ("lmdeploy", "fp8_e4m3", {"quant_policy": 16}),
        ("lmdeploy", "fp8_e5m2", {"quant_policy": 17}),
        ("llama_cpp", "fp8", None),
    ],
)
def test_arguments(backend: str, dtype: DType, expected: dict[str, Any] | None) -> None:
    assert arguments(KvFp8(dtype), backend) == expected


def test_goes_with_others() -> None:
    assert conflicts({"kv_fp8": KvFp8()}) == []


def test_evidence_names_the_type_and_the_bytes() -> None:
    shown = KvFp8().ablate_evidence(
        state("vllm", kv_bytes_per_token=1024.0, kv_cache_dtype="fp8_e4m3")
    )
    assert shown.applied is True
    assert shown.detail == (
        "kv_cache_dtype is fp8_e4m3, asked for fp8_e4m3; 1024 bytes of KV per token"
    )
    assert shown.numbers == {"kv_bytes_per_token": 1024.0}


@pytest.mark.parametrize("dtype", ["auto", "bfloat16", "fp8_e5m2"])
def test_another_type_is_no_evidence(dtype: str) -> None:
    assert KvFp8().ablate_evidence(state("vllm", kv_cache_dtype=dtype)).applied is False


def test_e5m2_is_not_e4m3() -> None:
    plugin = KvFp8("fp8_e5m2")
    assert plugin.ablate_evidence(state("vllm", kv_cache_dtype="fp8")).applied is False
    assert plugin.ablate_evidence(state("lmdeploy", quant_policy="17")).applied is True


def test_an_engine_that_says_nothing() -> None:
    assert KvFp8().ablate_evidence(state("sglang", stage="warmup")).applied is None
    shown = KvFp8().ablate_evidence(state("sglang"))
    assert shown.applied is False
    assert shown.detail == "the engine does not say what its kv_cache_dtype is"


def test_an_unknown_type() -> None:
    with pytest.raises(
        ValueError, match="dtype must be one of fp8, fp8_e4m3, fp8_e5m2, not 'int8'"
    ):
        KvFp8("int8")  # type: ignore[arg-type]
