"""The models that the engine's tests share, made once a session."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from tests.local.reference import SHAPES

Make = Callable[[str], Path]


@pytest.fixture(scope="session")
def checkpoint(tiny_model: Callable[..., Path]) -> Make:
    def make(shape: str) -> Path:
        architecture, seed, config = SHAPES[shape]
        return tiny_model(architecture, seed, **config)

    return make


@pytest.fixture(scope="session")
def near(checkpoint: Make, tmp_path_factory: pytest.TempPathFactory) -> Make:
    """A draft that is often right and often wrong: the model itself with noise on its weights."""
    made: dict[str, Path] = {}

    def make(shape: str) -> Path:
        if shape not in made:
            made[shape] = tmp_path_factory.mktemp(f"near-{shape}")
            model = AutoModelForCausalLM.from_pretrained(checkpoint(shape), dtype=torch.float32)
            generator = torch.Generator().manual_seed(0)
            with torch.no_grad():
                for weight in model.parameters():
                    noise = torch.randn(weight.shape, generator=generator)
                    weight.add_(noise * weight.std(), alpha=0.05)
            model.save_pretrained(made[shape])
            AutoTokenizer.from_pretrained(checkpoint(shape)).save_pretrained(made[shape])
        return made[shape]

    return make
