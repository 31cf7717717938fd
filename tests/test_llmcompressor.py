"""Checkpoints really made by llm-compressor, where ``$ABLATE_TEST_LLMCOMPRESSOR`` names a Python
that has it, or this one does.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from ablate.artifacts import kept
from ablate.engines.local.loading import load_model
from ablate.types import EvidenceState, ModelSpec
from ablate_fp8 import Fp8
from ablate_w4a16 import W4a16
from ablate_w8a8 import W8a8
from tests.quantized import apart

PYTHON = os.environ.get("ABLATE_TEST_LLMCOMPRESSOR", "")
MODEL = Path(__file__).parent.parent / "ablate" / "models" / "tiny-reasoner"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.extra,
    pytest.mark.skipif(
        not PYTHON and find_spec("llmcompressor") is None,
        reason="set ABLATE_TEST_LLMCOMPRESSOR to a Python that has llmcompressor",
    ),
]


def examples(n: int, seed: int) -> Sequence[tuple[str, str]]:
    from ablate.domains import Algebra

    return [(p.prompt, p.solution or "") for p in Algebra().training(n, seed)]


SPEC = ModelSpec("tiny-reasoner", str(MODEL), dtype="bfloat16", calibration=examples)
Make = Callable[[], W8a8 | W4a16 | Fp8]


@pytest.fixture(scope="module", autouse=True)
def _cache(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ABLATE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.mark.parametrize(
    ("make", "bits", "within"),
    [
        (lambda: W8a8(calibration_samples=16, python=PYTHON), 8.2, 0.1),
        (lambda: W8a8(smoothing=0.0, calibration_samples=16, python=PYTHON), 8.2, 0.1),
        (lambda: W4a16(calibration_samples=16, python=PYTHON), 4.5, 0.6),
        (lambda: Fp8(python=PYTHON), 8.06, 0.3),
        (lambda: Fp8(scheme="static", calibration_samples=16, python=PYTHON), 8.0, 0.3),
    ],
)
def test_a_checkpoint_is_made_kept_and_run(make: Make, bits: float, within: float) -> None:
    plugin, plain = make(), load_model(SPEC, "cpu")
    model = plugin.ablate_load_model(SPEC, "cpu")
    state = EvidenceState("local", "warmup", {"model": model}, {})
    evidence = plugin.ablate_evidence(state)
    assert evidence.applied is True
    assert evidence.numbers["quantized_linears"] == evidence.numbers["linears"] == 28
    assert evidence.numbers["bits_per_weight"] == pytest.approx(bits, abs=0.05)
    assert 0 < apart(plain, model) < within
    newest, *_ = kept()
    config = json.loads((newest.path / "config.json").read_text())
    assert config["quantization_config"]["quant_method"] == "compressed-tensors"
    count = len(kept())
    plugin.ablate_load_model(replace(SPEC, dtype="float32"), "cpu")
    assert len(kept()) == count
