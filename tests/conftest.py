"""What several test modules share."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

# Threads that wait for each other crawl as soon as another process wants a core.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Two shared cores: a slow example says nothing, and every run should try the same ones.
settings.register_profile("ablate", deadline=None, derandomize=True, max_examples=60)
settings.load_profile("ablate")

# Their own tests run where they are installed: test_third_party.py.
collect_ignore = ["third_party"]

WriteRecipe = Callable[[str], Path]


@pytest.fixture
def write_recipe(tmp_path: Path) -> WriteRecipe:
    """Writes a recipe's text into a folder of the test's own."""

    def write(text: str) -> Path:
        file = tmp_path / "recipe.yaml"
        file.write_text(text, encoding="utf-8")
        return file

    return write
