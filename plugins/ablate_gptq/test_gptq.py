"""GPTQ: options, and really quantized models where the extra is installed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ablate.errors import TrialError
from ablate.types import EvidenceState, ModelSpec
from ablate_gptq import Gptq

MODEL = Path(__file__).parents[2] / "ablate" / "models" / "tiny-reasoner"
OPTIONS = Gptq(calibration_samples=32)


def examples(n: int, seed: int) -> Sequence[tuple[str, str]]:
    from ablate.domains import Algebra

    return [(p.prompt, p.solution or "") for p in Algebra().training(n, seed)]


SPEC = ModelSpec("tiny-reasoner", str(MODEL), dtype="float32", calibration=examples)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bits": 5}, "bits must be one of 3, 4, 8"),
        ({"group_size": 48}, "group_size must be one of -1, 32, 64, 128"),
        ({"calibration_samples": 0}, "calibration_samples must be at least 1"),
    ],
)
def test_options_are_checked(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Gptq(**options)


def test_a_missing_extra_is_a_problem_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ablate.quantization.extras.find_spec", lambda name: None)
    (problem,) = Gptq().ablate_requirements("local").problems
    assert 'pip install "ablate-inference[gptq]"' in problem


def test_calibration_text_is_asked_for() -> None:
    with pytest.raises(TrialError, match="GPTQ needs calibration text"):
        OPTIONS.ablate_load_model(replace(SPEC, calibration=None), "cpu")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def kept(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("gptqmodel")
    monkeypatch.setenv("ABLATE_CACHE", str(cache))


def log_probabilities(model: Any) -> Any:
    """Of every next token of worked examples that were not calibrated on: [tokens, vocabulary]."""
    import torch
    from transformers import AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(MODEL)
    rows = []
    for prompt, completion in examples(8, seed=77):
        turn = [{"role": "user", "content": prompt}]
        text = tokenizer.apply_chat_template(turn, tokenize=False, add_generation_prompt=True)
        ids = torch.tensor([tokenizer(text + completion)["input_ids"]])
        with torch.no_grad():
            rows.append(model(input_ids=ids, use_cache=False).logits[0].double().log_softmax(-1))
    return torch.cat(rows)


def divergence(model: Any) -> float:
    """Mean KL divergence of a model's next-token distributions from the full model's."""
    from ablate.engines.local.loading import load_model

    p, q = log_probabilities(load_model(SPEC, "cpu")), log_probabilities(model)
    return float((p.exp() * (p - q)).sum(-1).mean())


@pytest.mark.slow
@pytest.mark.extra
@pytest.mark.usefixtures("kept")
def test_it_is_nearer_to_the_full_model_than_rounding_to_nearest() -> None:
    from ablate_rtn import Rtn

    calibrated = divergence(replace(OPTIONS, bits=3).ablate_load_model(SPEC, "cpu"))
    rounded = divergence(Rtn(bits=3).ablate_load_model(SPEC, "cpu"))
    assert 0 < calibrated < rounded


@pytest.mark.slow
@pytest.mark.extra
@pytest.mark.usefixtures("kept")
@pytest.mark.parametrize(
    ("options", "bits_held"),
    [
        ({}, 4 + 32 / 64),
        ({"bits": 8}, 8 + 16 / 64),  # symmetric: zeros of 128 are not held
        ({"desc_act": True}, 4 + 32 / 64),
        ({"group_size": -1}, None),
    ],
)
def test_every_layer_is_quantized_and_the_model_still_speaks(
    options: dict[str, Any], bits_held: float | None
) -> None:
    plugin = replace(OPTIONS, **options)
    model = plugin.ablate_load_model(replace(SPEC, dtype="bfloat16"), "cpu")
    state = EvidenceState("local", "warmup", {"model": model}, {})
    evidence = plugin.ablate_evidence(state)
    assert evidence.applied is True
    assert evidence.numbers["quantized_linears"] == evidence.numbers["linears"] == 28
    if bits_held is not None:
        assert evidence.numbers["bits_per_weight"] == bits_held
    assert divergence(model) < 0.5


def test_a_quantization_that_missed_calibration_text_is_refused() -> None:
    from ablate_gptq.quantize import check

    row = {"layer": 0, "module": "mlp.up_proj", "samples": "512"}
    check({"gptq": [row]}, tokens=512)
    with pytest.raises(SystemExit, match=r"dropped calibration tokens of layer 0 mlp.up_proj"):
        check({"gptq": [row]}, tokens=1024)
    with pytest.raises(SystemExit, match="dropped calibration tokens of all"):
        check({"gptq": []}, tokens=512)
