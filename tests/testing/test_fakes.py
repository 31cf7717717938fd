"""The small real things that plugins are tested with."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from ablate.engines.local import LocalEngine
from ablate.engines.local.session import LocalSession
from ablate.testing import FakeClock, FakeServer, tiny_model
from ablate.testing.models import ARCHITECTURES
from ablate.testing.serving import context_of, requests
from ablate.types import Completion, Load

PROBE = """
import sys, ablate.testing.pytest_plugin, ablate.testing
print([m for m in ("torch", "transformers", "aiohttp", "numpy") if m in sys.modules])
"""


def test_nothing_heavy_is_imported_until_it_is_used() -> None:
    done = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_tiny_model_is_one_of_its_architecture(
    tiny_model: Callable[..., Path], architecture: str
) -> None:
    model = AutoModelForCausalLM.from_pretrained(tiny_model(architecture))
    assert model.config.model_type == architecture
    tokenizer = AutoTokenizer.from_pretrained(tiny_model(architecture))
    text = "Grüße, 你好!"
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_a_tiny_model_follows_from_its_seed(tmp_path: Path) -> None:
    torch.manual_seed(3)
    before = torch.get_rng_state()
    weights = [
        (tiny_model(tmp_path / str(i), seed=seed) / "model.safetensors").read_bytes()
        for i, seed in enumerate((0, 0, 1))
    ]
    assert weights[0] == weights[1] != weights[2]
    assert torch.equal(torch.get_rng_state(), before)


def test_a_tiny_model_of_an_unknown_architecture(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="must be one of llama, qwen2, qwen3, mistral"):
        tiny_model(tmp_path, "gpt9")


def test_the_fixture_makes_a_model_once(tiny_model: Callable[..., Path]) -> None:
    assert tiny_model() == tiny_model()
    assert tiny_model() != tiny_model(num_key_value_heads=1)


def test_a_fake_clock_serves_hours_at_once(
    fake_clock: FakeClock, tiny_model: Callable[..., Path], tmp_path: Path
) -> None:
    context = context_of(tiny_model(), tmp_path)
    session = LocalSession(LocalEngine(), context, fake_clock)
    asked = [replace(r, arrival=3600.0 * i) for i, r in enumerate(requests(["a", "b", "c"]))]
    done: list[Completion] = []
    session.run(Load(tuple(asked)), done.append, lambda _: None)
    assert [c.arrival for c in done] == [c.finished for c in done] == [0.0, 3600.0, 7200.0]
    assert sum(fake_clock.slept) == 7200.0


def test_a_fake_clock_goes_on_alone_and_never_back() -> None:
    clock = FakeClock(start=5.0, tick=0.5)
    assert [clock.now(), clock.now()] == [5.0, 5.5]
    clock.advance(1.0)
    assert clock.now() == 7.0
    with pytest.raises(ValueError, match="cannot go back"):
        clock.advance(-1.0)


def test_a_fake_server_says_what_it_is_told_to(fake_server: Callable[..., FakeServer]) -> None:
    server = fake_server(text="one two three", finish="stop")
    for more, said in (
        ({}, "one two three"),
        ({"max_tokens": 5}, "one t"),
        ({"stop": ["o t"]}, "one tw"),
    ):
        assert answer(server, {"prompt": "?", **more}) == said
    assert [path for path, _ in server.asked] == ["/v1/completions"] * 3


def answer(server: FakeServer, body: dict[str, object]) -> str:
    """The text of a stream, put together."""
    request = urllib.request.Request(  # noqa: S310 - our own address
        f"{server.url}/v1/completions",
        json.dumps(body).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request) as reply:  # noqa: S310
        lines = [
            line[6:] for line in reply.read().decode().split("\n\n") if line.startswith("data: {")
        ]
    choices = [choice for line in lines for choice in json.loads(line)["choices"]]
    return "".join(choice["text"] for choice in choices).removesuffix("<|end|>")
