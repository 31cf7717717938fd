"""8-bit floats in the KV cache: arguments, evidence, and the codec of the in-process engine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from ablate.plugins import Plugin
from ablate.testing import tiny_model
from ablate_draft import Draft
from ablate_kv_fp8 import DType, KvFp8
from ablate_kv_fp8.codec import TYPES, Float8
from ablate_ngram import Ngram
from ablate_prefix_cache import PrefixCache
from tests.engines.serving import arguments, conflicts, state
from tests.local.serving import open_session, serve

PROMPTS = [f"the very same long beginning of every prompt, and number {i}" for i in range(8)]


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


@pytest.mark.parametrize(
    ("dtype", "largest", "error"), [("fp8", 448, 2**-4), ("fp8_e5m2", 57344, 2**-3)]
)
@pytest.mark.parametrize("computed", [torch.float32, torch.bfloat16])
def test_numbers_are_rounded_and_what_is_too_large_becomes_the_largest(
    dtype: str, largest: float, error: float, computed: torch.dtype
) -> None:
    codec = Float8(dtype)
    x = torch.cat([torch.linspace(0.1, 1.0, 50), torch.tensor([300.0])]).to(computed)
    back = codec.decode(codec.encode(x), computed)
    assert ((back - x).abs() <= error * x).all()
    beyond = torch.tensor([largest * 1.01, -1e30, torch.inf], dtype=computed)
    assert codec.decode(codec.encode(beyond), computed).tolist() == [largest, -largest, largest]


@pytest.mark.parametrize("computed", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("dtype", ["fp8_e4m3", "fp8_e5m2"])
def test_every_code_is_read_as_torch_reads_it(dtype: str, computed: torch.dtype) -> None:
    codes = torch.arange(256, dtype=torch.uint8).view(TYPES[dtype])
    read = Float8(dtype).decode((codes,), computed)
    assert torch.equal(read.nan_to_num(7.0), codes.to(computed).nan_to_num(7.0))
    assert torch.equal(read.isnan(), codes.to(computed).isnan())


@pytest.mark.parametrize("more", ["prefix_cache", "ngram", "draft"])
def test_others_change_nothing_beside_it(tmp_path: Path, more: str) -> None:
    path = tiny_model(tmp_path)
    others: dict[str, Plugin] = {
        "prefix_cache": PrefixCache(block_size=8),
        "ngram": Ngram(k=3, min_n=1),
        "draft": Draft(str(path), k=3),
    }
    alone = open_session(path, plugins={"kv_fp8": KvFp8()})
    both = open_session(path, plugins={"kv_fp8": KvFp8(), more: others[more]})
    full = open_session(path)
    assert serve(both, PROMPTS).texts() == serve(alone, PROMPTS).texts()
    assert serve(alone, PROMPTS).texts() != serve(full, PROMPTS).texts()
    shown = both._context.plugins.evidence(both.evidence_state("measured"))
    assert [proof.applied for proof in shown] == [True, True]
    assert shown[0].detail == "128 bytes of KV per token instead of 512"
