"""The plugin does what it says: ablate's own checks, and the numbers behind them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from ablate.engines.local.loading import load_model
from ablate.errors import TrialError
from ablate.testing import check_plugin
from ablate.types import ModelSpec

from ablate_sparse24 import Sparse24
from ablate_sparse24.pruning import count, prune, smallest, two_of_four


@pytest.mark.parametrize(("architecture", "share"), [("llama", None), ("qwen3", 0.3)])
def test_it_does_what_it_says(
    architecture: str, share: float | None, tiny_model: Callable[..., Path]
) -> None:
    check_plugin(Sparse24(share=share), model=tiny_model(architecture))


def test_of_four_neighbours_the_two_largest_stay() -> None:
    weight = torch.tensor([[0.1, -0.4, 0.3, 0.2, 5.0, 6.0, -8.0, 7.0]])
    assert two_of_four(weight).tolist() == torch.tensor([[0, -0.4, 0.3, 0, 0, 0, -8, 7]]).tolist()


def test_of_equal_weights_two_stay_and_two_go() -> None:
    assert two_of_four(torch.ones(1, 4)).tolist() == [[1, 1, 0, 0]]


def test_a_share_takes_the_smallest_wherever_they_stand() -> None:
    weight = torch.tensor([[0.1, 0.2, -0.3, -0.4], [0.5, 0.6, 0.7, 0.8]])
    assert smallest(weight, 0.4)[0].tolist() == [0, 0, 0, 0]
    assert (smallest(weight, 0.4)[1] != 0).all()


def test_counts_are_of_the_weights_as_they_are(tiny_model: Callable[..., Path]) -> None:
    model = load_model(ModelSpec("tiny", str(tiny_model())), "cpu")
    assert count(model).zeros < 0.01
    prune(model, None)
    assert (count(model).zeros, count(model).groups) == (0.5, 1.0)
    with torch.no_grad():
        model.model.layers[0].mlp.up_proj.weight[0, :4] = 1
    assert 0.99 < count(model).groups < 1


def test_rows_that_fours_do_not_fill_are_an_error(tiny_model: Callable[..., Path]) -> None:
    odd = ModelSpec("odd", str(tiny_model("llama", intermediate_size=66)))
    with pytest.raises(TrialError, match=r"mlp\.down_proj has 66: give a share"):
        prune(load_model(odd, "cpu"), None)


@pytest.mark.parametrize("share", [0.0, 1.0, 50])
def test_a_share_lies_between_0_and_1(share: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        Sparse24(share=share)
