"""Rounding to nearest: the levels, the evidence, and bad options."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ablate.engines.local.loading import load_model
from ablate.errors import TrialError
from ablate.types import EvidenceState, ModelSpec
from ablate_rtn import Rtn
from ablate_rtn.rounding import most_values, round_to_nearest

MODEL = Path(__file__).parents[2] / "ablate" / "models" / "tiny-draft"
SPEC = ModelSpec("tiny-draft", str(MODEL))


@given(
    bits=st.integers(2, 8),
    group=st.sampled_from([8, 16, 32, -1]),
    seed=st.integers(0, 2**32),
    scale=st.sampled_from([1e-30, 1e-3, 1.0, 1e4]),
)
def test_no_weight_moves_by_more_than_a_step(
    bits: int, group: int, seed: int, scale: float
) -> None:
    weight = torch.randn(4, 32, generator=torch.Generator().manual_seed(seed)) * scale
    rounded = round_to_nearest(weight, bits, group)
    width = 32 if group == -1 else group
    groups, after = weight.reshape(-1, width), rounded.reshape(-1, width)
    reach = groups.amax(1).clamp(min=0) - groups.amin(1).clamp(max=0)
    step = reach / (2**bits - 1)
    # The zero point is rounded as well, which moves the ends by up to half a step.
    assert ((groups - after).abs().amax(1) <= step * 1.001).all()
    assert most_values(rounded, group) <= 2**bits
    assert torch.allclose(round_to_nearest(rounded, bits, group), rounded, rtol=1e-3)


@pytest.mark.parametrize("value", [0.0, 1.0, -3.5])
def test_a_constant_group_stays_as_it_is(value: float) -> None:
    weight = torch.full((2, 8), value)
    assert torch.allclose(round_to_nearest(weight, 2, 8), weight)


def test_fewer_bits_are_further_off() -> None:
    weight = torch.randn(64, 64, generator=torch.Generator().manual_seed(0))
    errors = [float((round_to_nearest(weight, b, 64) - weight).norm()) for b in range(2, 9)]
    assert errors == sorted(errors, reverse=True)


def test_evidence_is_positive_with_it_and_negative_without() -> None:
    plugin = Rtn(bits=3)
    for model, applied in (
        (plugin.ablate_load_model(SPEC, "cpu"), True),
        (load_model(SPEC, "cpu"), False),
    ):
        found = plugin.ablate_evidence(EvidenceState("local", "warmup", {"model": model}, {}))
        assert found.applied is applied
        assert found.numbers["linears"] == 14


def test_embedding_and_output_layer_stay_as_they_are() -> None:
    rounded, plain = Rtn(bits=2).ablate_load_model(SPEC, "cpu"), load_model(SPEC, "cpu")
    ours, theirs = (m.get_input_embeddings().weight for m in (rounded, plain))
    assert torch.equal(ours, theirs)


def test_a_group_that_does_not_divide_a_row_fails_the_arm() -> None:
    with pytest.raises(TrialError, match=r"q_proj.*group_size 48 does not divide a row of 128"):
        Rtn(group_size=48).ablate_load_model(SPEC, "cpu")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bits": 1}, "bits must be from 2 to 8"),
        ({"bits": 9}, "bits must be from 2 to 8"),
        ({"group_size": 0}, "group_size must be positive"),
    ],
)
def test_options_are_checked(options: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Rtn(**options)
