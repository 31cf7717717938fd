"""What only engines that own their loop can do is refused when ``engine: local`` is planned."""

from __future__ import annotations

import pytest

from ablate.errors import RecipeError
from ablate.planning import make_plan
from ablate.recipe import load_recipe
from tests.conftest import WriteRecipe


@pytest.mark.parametrize(
    "level",
    [
        "{max_num_seqs: {n: 8}}",
        "chunked_prefill",
        "{schedule_policy: {policy: fcfs}}",
        "{parallel: {tensor: 2}}",
        "mtp",
        "{eagle3: {model: some/head}}",
    ],
)
def test_with_a_sentence(level: str, write_recipe: WriteRecipe) -> None:
    text = f"""
name: x
model: tiny-reasoner
engine: local
domains: {{logic: {{limit: 2}}}}
factors: {{it: [{level}]}}
"""
    with pytest.raises(RecipeError, match="does not support engine 'local'; it supports: "):
        make_plan(load_recipe(write_recipe(text)))
