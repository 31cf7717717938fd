"""bitsandbytes: options, and really quantized models where the extra is installed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ablate.types import EvidenceState, ModelSpec
from ablate_bnb import Bnb
from tests.quantized import apart

MODEL = Path(__file__).parents[2] / "ablate" / "models" / "tiny-reasoner"
SPEC = ModelSpec("tiny-reasoner", str(MODEL), dtype="bfloat16")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scheme": "int4"}, "scheme must be one of int8, nf4, fp4"),
        ({"threshold": -1.0}, "threshold must be at least 0"),
        ({"scheme": "int8", "double_quant": True}, "double_quant is for nf4 and fp4"),
    ],
)
def test_options_are_checked(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Bnb(**options)


def test_a_missing_extra_is_a_problem_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ablate.quantization.extras.find_spec", lambda name: None)
    (problem,) = Bnb().ablate_requirements("local").problems
    assert 'pip install "ablate-inference[bnb]"' in problem


@pytest.mark.extra
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("options", "most_bits", "within"),
    [
        ({"scheme": "int8"}, 8.2, 0.1),
        ({"scheme": "nf4"}, 4.6, 0.6),
        ({"scheme": "nf4", "double_quant": True}, 4.3, 0.6),
        ({"scheme": "fp4"}, 4.6, 0.9),
    ],
)
def test_every_layer_is_quantized_and_the_model_still_speaks(
    options: dict[str, Any], most_bits: float, within: float
) -> None:
    pytest.importorskip("bitsandbytes")
    from ablate.engines.local.loading import load_model

    plugin, plain = Bnb(**options), load_model(SPEC, "cpu")
    model = plugin.ablate_load_model(SPEC, "cpu")
    assert 0 < apart(plain, model) < within
    bare = plugin.ablate_evidence(EvidenceState("local", "warmup", {"model": plain}, {}))
    found = plugin.ablate_evidence(EvidenceState("local", "warmup", {"model": model}, {}))
    assert (bare.applied, found.applied) == (False, True)
    assert found.numbers["quantized_linears"] == found.numbers["linears"] == 28
    assert most_bits - 0.5 < found.numbers["bits_per_weight"] <= most_bits
