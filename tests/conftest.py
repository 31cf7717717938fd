"""What several test modules share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

# Two shared cores: a slow example says nothing, and every run should try the same ones.
settings.register_profile("ablate", deadline=None, derandomize=True, max_examples=60)
settings.load_profile("ablate")

WriteRecipe = Callable[[str], Path]


@pytest.fixture
def write_recipe(tmp_path: Path) -> WriteRecipe:
    """Writes a recipe's text into a folder of the test's own."""

    def write(text: str) -> Path:
        file = tmp_path / "recipe.yaml"
        file.write_text(text, encoding="utf-8")
        return file

    return write
