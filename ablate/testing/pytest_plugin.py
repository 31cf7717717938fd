"""The fixtures that pytest has wherever `ablate` is installed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from ablate.testing import FakeClock, FakeServer


@pytest.fixture(scope="session", name="tiny_model")
def _tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """``tiny_model("qwen3")`` is the folder of a random checkpoint, made once a session.

    Takes what ``ablate.testing.tiny_model`` takes after the folder.
    """
    from ablate.testing import tiny_model

    made: dict[str, Path] = {}

    def make(architecture: str = "llama", seed: int = 0, **config: Any) -> Path:
        key = repr((architecture, seed, sorted(config.items())))
        if key not in made:
            folder = tmp_path_factory.mktemp(architecture)
            made[key] = tiny_model(folder, architecture, seed, **config)
        return made[key]

    return make


@pytest.fixture(name="fake_clock")
def _fake_clock() -> FakeClock:
    """A clock that stands still until it is told to go on."""
    from ablate.testing import FakeClock

    return FakeClock()


@pytest.fixture(name="fake_server")
def _fake_server(tiny_model: Callable[..., Path]) -> Iterator[Callable[..., FakeServer]]:
    """``fake_server(text="19")`` is a running server with the tokenizer of ``tiny_model()``.

    Takes the fields of ``Behaviour``; it ends with the test.
    """
    from ablate.testing import FakeServer

    running: list[FakeServer] = []

    def start(model: Path | str | None = None, **behaviour: Any) -> FakeServer:
        running.append(FakeServer(model or tiny_model(), **behaviour).start())
        return running[-1]

    yield start
    for server in running:
        server.stop()
