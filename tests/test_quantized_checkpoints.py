"""What shows that a server which tells no layers serves quantized ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import save_file

from ablate.quantization.served import evidence
from tests.engines.serving import state

OUTSIDE = {
    "model.embed_tokens.weight": np.zeros((8, 4), np.float16),
    "lm_head.weight": np.zeros((8, 4), np.float16),
    "model.norm.weight": np.zeros(4, np.float16),
}
CODES = {
    "model.layers.0.q_proj.qweight": np.zeros((4, 4), np.int32),
    "model.layers.0.q_proj.scales": np.zeros((1, 4), np.float16),
    "model.layers.1.q_proj.weight": np.zeros((4, 4), np.int8),
    "model.layers.1.q_proj.weight_scale": np.zeros((4, 1), np.float16),
}
PLAIN = {"model.layers.2.q_proj.weight": np.zeros((4, 4), np.float16)}


@pytest.mark.parametrize(
    ("first", "second", "applied", "words"),
    [
        (CODES, OUTSIDE, True, "2 of 2 linear layers as 4-bit codes alone"),
        (CODES, OUTSIDE | PLAIN, False, "2 of 3 linear layers"),
        (PLAIN, OUTSIDE, False, "does not say which layers"),
    ],
)
def test_the_checkpoint_that_is_served(
    tmp_path: Path,
    first: dict[str, NDArray[Any]],
    second: dict[str, NDArray[Any]],
    applied: bool,
    words: str,
) -> None:
    save_file(first, tmp_path / "model-1.safetensors")
    save_file(second, tmp_path / "model-2.safetensors", {"format": "pt"})
    shown = evidence("gptq", state("lmdeploy", model=str(tmp_path)), 4)
    assert shown.applied is applied
    assert words in shown.detail


def test_a_server_that_names_no_folder() -> None:
    assert evidence("gptq", state("lmdeploy", model="org/model"), 4).applied is False
