"""torchao: options, refusals, and really quantized models where the extra is installed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ablate.errors import TrialError
from ablate.types import EvidenceState, ModelSpec
from ablate_torchao import Torchao
from tests.quantized import apart

MODEL = Path(__file__).parents[2] / "ablate" / "models" / "tiny-reasoner"
SPEC = ModelSpec("tiny-reasoner", str(MODEL), dtype="bfloat16")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scheme": "int5"}, "scheme must be one of int8, int4, int8_dynamic, float8"),
        ({"group_size": 48}, "group_size must be one of 32, 64, 128"),
    ],
)
def test_options_are_checked(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Torchao(**options)


def test_a_missing_extra_is_a_problem_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ablate.quantization.extras.find_spec", lambda name: None)
    (problem,) = Torchao().ablate_requirements("local").problems
    assert 'pip install "ablate-inference[torchao]"' in problem


@pytest.fixture
def plain() -> Any:
    pytest.importorskip("torchao")
    from ablate.engines.local.loading import load_model

    return load_model(SPEC, "cpu")


@pytest.mark.extra
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("scheme", "bits", "within"),
    [("int8", 8.13, 0.05), ("int8_dynamic", 8.13, 0.1), ("float8", 8.1, 0.2), ("int4", 4.5, 0.6)],
)
def test_every_layer_is_quantized_and_the_model_still_speaks(
    plain: Any, scheme: Any, bits: float, within: float
) -> None:
    plugin = Torchao(scheme)
    model = plugin.ablate_load_model(SPEC, "cpu")
    state = EvidenceState("local", "warmup", {"model": model}, {})
    evidence = plugin.ablate_evidence(state)
    assert evidence.applied is True
    assert evidence.numbers["quantized_linears"] == evidence.numbers["linears"] == 28
    assert evidence.numbers["bits_per_weight"] == pytest.approx(bits, abs=0.01)
    assert evidence.numbers["weight_bytes"] < 0.6 * 6_559_232
    assert 0 < apart(plain, model) < within


@pytest.mark.extra
def test_without_it_there_is_no_evidence(plain: Any) -> None:
    state = EvidenceState("local", "warmup", {"model": plain}, {})
    assert Torchao().ablate_evidence(state).applied is False


@pytest.mark.extra
@pytest.mark.usefixtures("plain")
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("plugin", "dtype", "message"),
    [
        (Torchao("float8_dynamic"), "bfloat16", "float8_dynamic needs a GPU"),
        (Torchao("int4"), "float32", "computes in bfloat16"),
    ],
)
def test_what_cannot_be_done_fails_the_arm(plugin: Torchao, dtype: str, message: str) -> None:
    with pytest.raises(TrialError, match=message):
        plugin.ablate_load_model(replace(SPEC, dtype=dtype), "cpu")


@pytest.mark.extra
@pytest.mark.usefixtures("plain")
@pytest.mark.filterwarnings("ignore")
def test_a_group_that_does_not_divide_names_the_layer(tmp_path: Path) -> None:
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=64,
        hidden_size=96,
        intermediate_size=128,
        num_hidden_layers=1,
        num_attention_heads=2,
    )
    LlamaForCausalLM(config).save_pretrained(tmp_path)
    spec = ModelSpec("odd", str(tmp_path), dtype="bfloat16")
    with pytest.raises(TrialError, match="group_size 64 does not divide the 96 inputs of model"):
        Torchao("int4").ablate_load_model(spec, "cpu")
