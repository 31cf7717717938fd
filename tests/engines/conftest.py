"""A fake server that is launched like any other: its launcher comes in through an entry point."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ablate.plugins import installed

NAME = "ablate_fake_server-1.0.dist-info"


@pytest.fixture(scope="session")
def fake_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which a distribution with the fake launcher is installed."""
    site = tmp_path_factory.mktemp("site")
    (site / NAME).mkdir()
    (site / NAME / "METADATA").write_text("Metadata-Version: 2.1\nName: ablate-fake\nVersion: 1.0")
    entry = "[ablate]\nfake_launcher = ablate.testing.fake_server.launcher\n"
    (site / NAME / "entry_points.txt").write_text(entry)
    return site


@pytest.fixture
def fake_launcher(fake_site: Path) -> Iterator[None]:
    """The fake launcher installed in this process."""
    sys.path.append(str(fake_site))
    installed.cache_clear()
    yield
    sys.path.remove(str(fake_site))
    installed.cache_clear()
