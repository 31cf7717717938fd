"""The switches of engines that own their loop: arguments, evidence, refusals."""

from __future__ import annotations

from typing import Any

import pytest

from ablate.compatibility import supporting
from ablate.engines.base import Engine
from ablate_switches import ChunkedPrefill, MaxNumSeqs, Parallel, SchedulePolicy
from ablate_switches.compiling import Compile
from ablate_switches.switch import Switch
from tests.engines.serving import BACKENDS, Serving, arguments, conflicts, state

ARGUMENTS: list[tuple[Switch, str, dict[str, Any] | None]] = [
    (MaxNumSeqs(8), "vllm", {"max_num_seqs": 8}),
    (MaxNumSeqs(8), "sglang", {"max_running_requests": 8}),
    (MaxNumSeqs(8), "lmdeploy", {"max_batch_size": 8}),
    (ChunkedPrefill(), "vllm", {"enable_chunked_prefill": True}),
    (
        ChunkedPrefill(False, 4096),
        "vllm",
        {"enable_chunked_prefill": False, "max_num_batched_tokens": 4096},
    ),
    (ChunkedPrefill(True, 512), "sglang", {"chunked_prefill_size": 512}),
    (ChunkedPrefill(False), "sglang", {"chunked_prefill_size": -1}),
    (ChunkedPrefill(), "sglang", None),
    (ChunkedPrefill(False, 512), "sglang", None),
    (ChunkedPrefill(True, 512), "lmdeploy", {"max_prefill_token_num": 512}),
    (ChunkedPrefill(False), "lmdeploy", None),
    (SchedulePolicy("priority"), "vllm", {"scheduling_policy": "priority"}),
    (SchedulePolicy("lpm"), "sglang", {"schedule_policy": "lpm"}),
    (SchedulePolicy("lpm"), "vllm", None),
    (SchedulePolicy("priority"), "sglang", None),
    (SchedulePolicy("fcfs"), "lmdeploy", None),
    (Parallel(tensor=2), "vllm", {"tensor_parallel_size": 2}),
    (
        Parallel(2, 3, 4),
        "vllm",
        {"tensor_parallel_size": 2, "pipeline_parallel_size": 3, "data_parallel_size": 4},
    ),
    (Parallel(2, 3, 4), "sglang", {"tp_size": 2, "pp_size": 3, "dp_size": 4}),
    (Parallel(tensor=2), "lmdeploy", {"tp": 2}),
    (Parallel(tensor=2, pipeline=2), "lmdeploy", None),
    (Compile(), "vllm", {"enforce_eager": False}),
    (Compile(False), "vllm", {"enforce_eager": True}),
    (Compile(), "sglang", {"enable_torch_compile": True}),
    (Compile(), "lmdeploy", None),
]
EVERY: dict[str, Switch] = {
    "max_num_seqs": MaxNumSeqs(8),
    "chunked_prefill": ChunkedPrefill(True, 512),
    "schedule_policy": SchedulePolicy("fcfs"),
    "parallel": Parallel(2),
    "compile": Compile(),
}


@pytest.mark.parametrize(("switch", "backend", "expected"), ARGUMENTS)
def test_arguments(switch: Switch, backend: str, expected: dict[str, Any] | None) -> None:
    assert arguments(switch, backend) == expected


@pytest.mark.parametrize("switch", EVERY.values(), ids=EVERY)
def test_llama_cpp_has_none(switch: Switch) -> None:
    assert arguments(switch, "llama_cpp") is None


def test_all_go_together() -> None:
    assert conflicts(EVERY) == []
    assert conflicts(EVERY, "sglang") == []


def test_the_support_matrix() -> None:
    engines: dict[str, type[Engine]] = {"x": Serving}
    found = {name: supporting(type(switch), engines) for name, switch in EVERY.items()}
    three = [f"x: {backend}" for backend in BACKENDS[:3]]
    assert found == {
        "max_num_seqs": three,
        "chunked_prefill": three,
        "schedule_policy": three[:2],
        "parallel": three,
        "compile": three[:2],
    }


@pytest.mark.parametrize(("switch", "backend", "expected"), [a for a in ARGUMENTS if a[2]])
def test_evidence_is_the_engines_word(
    switch: Switch, backend: str, expected: dict[str, Any]
) -> None:
    assert switch.ablate_evidence(state(backend, **expected)).applied is True
    other: dict[str, Any] = dict.fromkeys(expected, "something else")
    assert switch.ablate_evidence(state(backend, **other)).applied is False
    assert switch.ablate_evidence(state(backend, stage="warmup")).applied is None
    silent = switch.ablate_evidence(state(backend))
    assert silent.applied is False
    assert silent.detail.startswith("the engine does not say what its ")


def test_evidence_in_words() -> None:
    shown = MaxNumSeqs(8).ablate_evidence(state("vllm", max_num_seqs=4))
    assert (shown.plugin, shown.detail) == ("max_num_seqs", "max_num_seqs is 4, asked for 8")
    assert shown.numbers == {"max_num_seqs": 4.0}
    assert MaxNumSeqs(8).ablate_evidence(state("lmdeploy", max_batch_size="8")).applied is True


def test_a_part_that_the_engine_does_not_tell() -> None:
    plugin = Parallel(2, 2)
    assert plugin.ablate_evidence(state("vllm", tensor_parallel_size=2)).applied is False
    early = state("vllm", stage="warmup", tensor_parallel_size=1)
    assert plugin.ablate_evidence(early).applied is False


@pytest.mark.parametrize("mode", [0, "NONE"])
def test_not_eager_is_not_compiled(mode: object) -> None:
    shown = Compile().ablate_evidence(state("vllm", enforce_eager=False, compilation_mode=mode))
    assert shown.applied is False
    assert "nothing is compiled" in shown.detail
    good = state("vllm", enforce_eager=False, compilation_mode=3)
    assert Compile().ablate_evidence(good).applied is True
    eager = state("vllm", enforce_eager=True, compilation_mode=mode)
    assert Compile(False).ablate_evidence(eager).applied is True


def test_sglang_orders_by_prefix_only_where_it_caches() -> None:
    plugin = SchedulePolicy("lpm")
    alone = state("sglang", schedule_policy="lpm", disable_radix_cache=True)
    assert plugin.ablate_evidence(alone).applied is False
    assert "add prefix_cache" in plugin.ablate_evidence(alone).detail
    both = state("sglang", schedule_policy="lpm", disable_radix_cache=False)
    assert plugin.ablate_evidence(both).applied is True
    other = state("sglang", schedule_policy="lof", disable_radix_cache=True)
    assert SchedulePolicy("lof").ablate_evidence(other).applied is True


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MaxNumSeqs(0), "n must be at least 1, not 0"),
        (lambda: ChunkedPrefill(True, 0), "max_num_batched_tokens must be at least 1, not 0"),
        (lambda: SchedulePolicy("lifo"), "policy must be one of dfs-weight, .*, not 'lifo'"),
        (lambda: Parallel(), "one of tensor, pipeline and data must be more than 1"),
        (lambda: Parallel(tensor=0), "tensor must be at least 1, not 0"),
    ],
)
def test_bad_options(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
