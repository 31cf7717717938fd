"""AWQ: options, the int4 layer, and a really quantized model where the extra is installed."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ablate.errors import TrialError
from ablate.plugins import hooks_of
from ablate.types import EvidenceState, ModelSpec
from ablate_awq import Awq

MODEL = Path(__file__).parents[2] / "ablate" / "models" / "tiny-reasoner"
OPTIONS = Awq(calibration_samples=16)


def examples(n: int, seed: int) -> Sequence[tuple[str, str]]:
    from ablate.domains.arithmetic import Arithmetic

    return [(p.prompt, p.solution or "") for p in Arithmetic().training(n, seed)]


SPEC = ModelSpec("tiny-reasoner", str(MODEL), calibration=examples)


def state(model: Any) -> EvidenceState:
    return EvidenceState("local", "warmup", {"model": model}, {})


def test_planning_imports_nothing_heavy() -> None:
    code = f"""
import sys
sys.path[:] = {sys.path!r}
import ablate_awq
ablate_awq.Awq().ablate_requirements("local")
heavy = {{"torch", "transformers", "gptqmodel", "accelerate"}} & set(sys.modules)
sys.exit(f"imported {{heavy}}" if heavy else 0)
"""
    subprocess.run([sys.executable, "-c", code], check=True)  # noqa: S603


def test_its_hooks_are_the_loader_the_requirements_and_the_evidence() -> None:
    assert set(hooks_of(Awq)) == {
        "ablate_load_model",
        "ablate_requirements",
        "ablate_evidence",
    }


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bits": 3}, "bits must be 4"),
        ({"group_size": 48}, "group_size must be one of 32, 64, 128"),
        ({"calibration_samples": 0}, "calibration_samples must be at least 1"),
    ],
)
def test_options_are_checked(options: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Awq(**options)


def test_a_missing_extra_is_a_problem_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ablate_awq.find_spec", lambda name: None)
    (problem,) = Awq().ablate_requirements("local").problems
    assert "gptqmodel" in problem
    assert 'pip install "ablate-inference[awq]"' in problem
    monkeypatch.setattr("ablate_awq.find_spec", lambda name: object())
    assert Awq().ablate_requirements("local").problems == ()


@pytest.mark.parametrize("draw", [None, lambda n, seed: []])
def test_calibration_text_is_asked_for(draw: Any) -> None:
    from ablate_awq.build import calibration

    with pytest.raises(TrialError, match="AWQ needs calibration text"):
        calibration(OPTIONS, replace(SPEC, calibration=draw))


# The layer


@pytest.mark.parametrize("dtype", ["bfloat16", "float32", "float16"])
@pytest.mark.parametrize("columns", [192, 96, 24])
@pytest.mark.parametrize("rows", [1, 5, 127, 128])
def test_the_layer_multiplies_by_the_dequantized_weight(
    dtype: str, columns: int, rows: int
) -> None:
    import torch

    from ablate_awq.int4 import Int4Linear

    draw = torch.Generator().manual_seed(0)
    codes = torch.randint(0, 16, (128, columns), generator=draw, dtype=torch.uint8)
    zeros = torch.randint(0, 16, (2, columns), generator=draw, dtype=torch.uint8)
    kind = getattr(torch, dtype)
    scales = (torch.rand(2, columns, generator=draw) * 0.02 + 0.01).to(kind)
    bias = torch.randn(columns, generator=draw).to(kind)
    x = torch.randn(1, rows, 128, generator=draw).to(kind)
    layer = Int4Linear(codes, zeros, scales, bias)
    y = layer(x)
    spread = codes.double() - zeros.double().repeat_interleave(64, 0)
    weight = spread * scales.double().repeat_interleave(64, 0)
    expected = x.double() @ weight + bias.double()
    error = ((y.double() - expected).norm() / expected.norm()).item()
    assert y.shape == (1, rows, columns)
    assert y.dtype == kind
    assert error < {"bfloat16": 1e-2, "float16": 1e-3, "float32": 1e-6}[dtype]
    assert layer.packed.nbytes == 128 * columns // 2


def test_a_kernel_layout_that_is_not_known_is_left_to_the_kernel(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import torch

    from ablate_awq import int4

    codes = torch.arange(64 * 64).view(64, 64).remainder(16).to(torch.uint8)
    zeros, scales = torch.full((2, 64), 7), torch.full((2, 64), 0.5, dtype=torch.bfloat16)
    known = int4.Int4Linear(codes, zeros, scales, None)
    monkeypatch.setattr(int4, "KERNEL_BLOCKS", ())
    unknown = int4.Int4Linear(codes, zeros, scales, None)
    x = torch.eye(64, dtype=torch.bfloat16).repeat(3, 1)
    assert known.block is not None
    assert unknown.block is None
    assert torch.equal(known(x), unknown(x))
    with pytest.raises(ValueError, match="layout is not known"):
        unknown.dense()


def test_codes_are_read_from_the_format_that_awq_checkpoints_have() -> None:
    import torch

    from ablate_awq.int4 import awq_codes

    codes = torch.randint(0, 16, (3, 16), generator=torch.Generator().manual_seed(0))
    packed = torch.zeros(3, 2, dtype=torch.int64)
    for word in range(2):
        for place, column in enumerate((0, 2, 4, 6, 1, 3, 5, 7)):
            packed[:, word] |= codes[:, 8 * word + column] << (4 * place)
    words = packed.to(torch.uint32).view(torch.int32)
    assert torch.equal(awq_codes(words), codes.to(torch.uint8))


# A quantized model


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def quantized(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The tiny model, quantized by whichever test comes first."""
    pytest.importorskip("gptqmodel")
    monkeypatch.setenv("ABLATE_CACHE", str(cache))
    return OPTIONS.ablate_load_model(SPEC, "cpu")


def baseline(dtype: str) -> Any:
    import torch
    from transformers import AutoModelForCausalLM

    model: Any = AutoModelForCausalLM.from_pretrained(MODEL, dtype=getattr(torch, dtype))
    return model.eval()


def log_probabilities(model: Any) -> Any:
    """Of every next token of worked examples that were not calibrated on: [tokens, vocabulary]."""
    import torch
    from transformers import AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(MODEL)
    rows = []
    for prompt, completion in examples(4, seed=77):
        turn = [{"role": "user", "content": prompt}]
        text = tokenizer.apply_chat_template(turn, tokenize=False, add_generation_prompt=True)
        ids = torch.tensor([tokenizer(text + completion)["input_ids"]])
        places = torch.arange(ids.shape[1])
        with torch.no_grad():
            out = model(
                input_ids=ids,
                position_ids=places[None],
                use_cache=False,
                logits_to_keep=places,
            )
        rows.append(out.logits[0].double().log_softmax(-1))
    return torch.cat(rows)


def divergence(model: Any, other: Any) -> float:
    """Mean KL divergence of ``other``'s next-token distributions from those of ``model``."""
    p, q = log_probabilities(model), log_probabilities(other)
    return float((p.exp() * (p - q)).sum(-1).mean())


@pytest.mark.slow
@pytest.mark.extra
def test_a_quantized_model_is_near_the_full_one_and_not_it(quantized: Any) -> None:
    full = baseline("bfloat16")
    assert type(quantized) is type(full)
    assert quantized.dtype == full.dtype
    assert not quantized.training
    noise = divergence(baseline("float32"), full)
    assert 2 * noise < divergence(full, quantized) < 0.1


@pytest.mark.slow
@pytest.mark.extra
def test_every_dtype_computes_with_the_same_weights(quantized: Any) -> None:
    import torch

    exact = OPTIONS.ablate_load_model(replace(SPEC, dtype="float32"), "cpu")
    assert exact.dtype == torch.float32
    assert divergence(exact, quantized) < 1e-3
    dense = baseline("float32")
    assert divergence(dense, exact) > 1e-4
    for name, layer in exact.named_modules():
        if name.endswith("_proj"):
            dense.get_submodule(name).weight.data = layer.dense().t().contiguous()
    own = dict(exact.named_parameters())
    for name, parameter in dense.named_parameters():
        parameter.data = own.get(name, parameter).data
    assert divergence(dense, exact) < 1e-9


@pytest.mark.slow
@pytest.mark.extra
def test_evidence_counts_quantized_layers_and_bytes(quantized: Any) -> None:
    evidence = OPTIONS.ablate_evidence(state(quantized))
    assert evidence.applied is True
    assert evidence.numbers["quantized_linears"] == evidence.numbers["linears"] == 28
    assert evidence.numbers["bits_per_weight"] == 4 + 32 / 64
    full = OPTIONS.ablate_evidence(state(baseline("bfloat16")))
    assert full.applied is False
    assert full.numbers["quantized_linears"] == 0
    assert full.numbers["weight_bytes"] > 3 * evidence.numbers["weight_bytes"]


@pytest.mark.slow
@pytest.mark.extra
def test_it_is_quantized_once_and_for_other_options_again(
    quantized: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise TrialError("a process was started")

    monkeypatch.setattr("ablate_awq.build.run_module", refuse)
    OPTIONS.ablate_load_model(SPEC, "cpu")
    for other in (replace(OPTIONS, group_size=32), replace(OPTIONS, seed=1)):
        with pytest.raises(TrialError, match="a process was started"):
            other.ablate_load_model(SPEC, "cpu")


@pytest.mark.slow
@pytest.mark.extra
def test_a_damaged_checkpoint_is_refused(
    quantized: Any, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "cache"
    shutil.copytree(cache, copy)
    monkeypatch.setenv("ABLATE_CACHE", str(copy))
    (weights,) = copy.glob("artifacts/awq-*/model.safetensors")
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    with pytest.raises(TrialError, match=r"model.safetensors changed .* Remove it with 'rm -r "):
        OPTIONS.ablate_load_model(SPEC, "cpu")


@pytest.mark.slow
@pytest.mark.extra
def test_a_quantizer_that_fails_is_one_error_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("gptqmodel")
    monkeypatch.setenv("ABLATE_CACHE", str(tmp_path / "cache"))
    broken = tmp_path / "model"
    shutil.copytree(MODEL, broken)
    weights = broken / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(TrialError, match=r"quantizing tiny-reasoner with gptqmodel failed \(exit"):
        OPTIONS.ablate_load_model(replace(SPEC, path=str(broken)), "cpu")
    assert [f for f in (tmp_path / "cache" / "artifacts").iterdir() if f.is_dir()] == []
