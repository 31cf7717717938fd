"""AWQ: options, and a really quantized model where the extra is installed."""

from __future__ import annotations

import shutil
import subprocess
import sys
import venv
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ablate.errors import TrialError
from ablate.plugins import hooks_of
from ablate.quantization.gptqmodel import LIBRARY
from ablate.types import EvidenceState, ModelSpec
from ablate_awq import Awq
from tests.stand_ins import interpreter_with

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


def test_its_hooks() -> None:
    assert set(hooks_of(Awq)) == {
        "ablate_engine_args",
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
        ({"calibration": "nowhere.txt"}, "must be domains, self or a text file"),
    ],
)
def test_options_are_checked(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Awq(**options)


def test_a_missing_extra_is_a_problem_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ablate.quantization.extras.find_spec", lambda name: None)
    (problem,) = Awq().ablate_requirements("local").problems
    assert "gptqmodel" in problem
    assert 'pip install "ablate-inference[awq]"' in problem
    monkeypatch.setattr("ablate.quantization.extras.find_spec", lambda name: object())
    assert Awq().ablate_requirements("local").problems == ()


def test_another_interpreter_may_have_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("ablate.quantization.extras.find_spec", lambda name: None)
    whole = interpreter_with(tmp_path, *LIBRARY.distributions)
    assert Awq(python=whole).ablate_requirements("local").problems == ()
    (problem,) = Awq(python="nowhere/python").ablate_requirements("local").problems
    assert problem == "awq.python: nowhere/python is no interpreter that can be run"
    bare = tmp_path / "bare"
    venv.create(bare, symlinks=True)
    python = str(bare / "bin" / "python")
    (problem,) = Awq(python=python).ablate_requirements("local").problems
    assert f"awq.python: {python} has no gptqmodel to run: it lacks gptqmodel" in problem
    with pytest.raises(TrialError, match=f"{python} has no gptqmodel to run: it lacks gptqmodel"):
        replace(OPTIONS, python=python).ablate_load_model(SPEC, "cpu")


@pytest.mark.parametrize("draw", [None, lambda n, seed: []])
def test_calibration_text_is_asked_for(draw: Any) -> None:
    with pytest.raises(TrialError, match="AWQ needs calibration text"):
        OPTIONS.ablate_load_model(replace(SPEC, calibration=draw), "cpu")


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

    monkeypatch.setattr("ablate.quantization.offline.run_script", refuse)
    OPTIONS.ablate_load_model(SPEC, "cpu")
    replace(OPTIONS, python=sys.executable).ablate_load_model(SPEC, "cpu")  # the same libraries
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
    with pytest.raises(TrialError, match=r"model.safetensors changed .* 'ablate artifacts rm awq-"):
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
