"""What trials are forked from."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ablate.planning import Plan, make_plan
from ablate.recipe import load_recipe
from ablate.running import isolation


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("{model: tiny-reasoner, domains: [arithmetic], blocks: 1, floor: false}")
    return make_plan(load_recipe(recipe))


@pytest.mark.parametrize("gpu", [True, False])
def test_where_there_is_a_gpu_trials_are_forked_from_a_process_that_never_saw_torch(
    plan: Plan, gpu: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(isolation, "has_gpu", lambda: gpu)
    loads = "; ".join(f"import {name}" for name in isolation.preloads(plan))
    asked = f"import sys; {loads}; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(not gpu)
