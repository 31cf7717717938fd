"""check_engine passes the engines that are shipped and finds one that breaks every promise."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ablate.engines.local import LocalEngine
from ablate.engines.server import ServerEngine
from ablate.testing import CheckError, FakeServer, check_engine
from tests.testing.lying_engine import PROMISES, Lying


def test_the_in_process_engine_keeps_its_promises() -> None:
    check_engine(LocalEngine())


def test_the_server_engine_keeps_its_promises(
    fake_server: Callable[..., FakeServer], tiny_model: Callable[..., Path]
) -> None:
    server = fake_server(served="tiny", text="<think>\n12 + 7\n</think>\nThat is 19.")
    engine = ServerEngine(base_url=server.url, served_model_name="tiny")
    check_engine(engine, model=tiny_model())


@pytest.fixture
def no_process_left() -> Iterator[None]:
    yield
    for process in Lying.left:
        process.kill()
        process.wait()


@pytest.mark.usefixtures("no_process_left")
def test_broken_promises_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ablate.testing.engine.PATIENCE", 0.1)
    with pytest.raises(CheckError) as caught:
        check_engine(Lying())
    lacking = [promise for promise in PROMISES if promise not in str(caught.value)]
    assert not lacking, caught.value


def test_an_engine_that_does_not_open_is_told(tmp_path: Path) -> None:
    with pytest.raises(CheckError, match=r"open: should open on .*, and raised TrialError"):
        check_engine(LocalEngine(), model=tmp_path)
