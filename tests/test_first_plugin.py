"""docs/your-first-plugin.md is followed word for word: its files, its commands, what they print.

What takes minutes, and each command in a process of its own, is left to the slow test.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from zipfile import ZipFile

import pytest

from ablate.cli import main
from ablate.project import as_installed, read_project
from tests.markdown import ROOT, Block, blocks_of
from tests.test_scaffold import see

PAGE = ROOT / "docs" / "your-first-plugin.md"
# the programs of this environment, whatever is on the path
PROGRAMS = "\n".join(
    f'{name}() {{ {shlex.quote(sys.executable)} {how} "$@"; }}'
    for name, how in (("ablate", "-m ablate"), ("pytest", "-m pytest"), ("python", ""))
)
WIDE = "240"  # columns, so that lines are as long as they like


def bash(command: str, folder: Path, environment: Mapping[str, str]) -> tuple[int, str]:
    """Exit code and everything printed."""
    done = subprocess.run(
        ["bash", "-ec", f"{PROGRAMS}\n{command}"],
        cwd=folder,
        env={**environment, "COLUMNS": WIDE},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    return done.returncode, done.stdout


def in_process(words: list[str], folder: Path) -> tuple[int, str]:
    """The same of one ``ablate`` or ``pytest`` command, in this process, which has torch loaded."""
    names = read_project(folder).entry_points
    printed = StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(printed), redirect_stderr(printed):
        patch.chdir(folder)
        patch.setenv("COLUMNS", WIDE)
        see(folder, patch)
        if words[0] == "pytest":
            code = int(pytest.main([*words[1:], "-p", "no:cacheprovider"]))
        else:
            code = main([*words[1:-1], *(names if words[-1] == "." else words[-1:])])
    for module in [
        m for m in sys.modules if m.partition(".")[0] in ("ablate_window", "test_window")
    ]:
        del sys.modules[module]
    return code, printed.getvalue()


class Follower:
    """Does what the page says, block by block."""

    def __init__(self, folder: Path, slow: bool) -> None:
        self.folder = folder
        self._slow = slow
        self._written: set[str] = set()
        self._printed = ""

    def follow(self) -> None:
        for block in blocks_of(PAGE):
            if block.project:
                self._write(block.project, block.text)
            elif block.run and block.language == "bash" and (self._slow or block.run != "slow"):
                self._run(block)
            elif block.shows:
                self._compare(block)

    def _write(self, name: str, text: str) -> None:
        file = self.folder / name
        begun = f"{file.read_text(encoding='utf-8')}\n\n" if name in self._written else ""
        file.write_text(begun + text, encoding="utf-8")
        self._written.add(name)

    def _run(self, block: Block) -> None:
        words = shlex.split(block.text)
        if not (self.folder / "pyproject.toml").exists():
            code, self._printed = bash(block.text, self.folder, os.environ)
            (self.folder,) = self.folder.glob("ablate-*")  # where all others begin
        elif words[0] in ("ablate", "pytest") and not self._slow:
            code, self._printed = in_process(words, self.folder)
        else:
            with as_installed(read_project(self.folder)) as environment:
                code, self._printed = bash(block.text, self.folder, environment)
        assert bool(code) == (block.run == "fails"), f"{block.place}: {code}\n{self._printed}"

    def _compare(self, block: Block) -> None:
        printed = " ".join(self._printed.split())
        for line in block.text.splitlines():
            assert " ".join(line.split()) in printed, f"{block.place}: {line}\n{self._printed}"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project as the page leaves it, without what takes minutes."""
    follower = Follower(tmp_path_factory.mktemp("first"), slow=False)
    follower.follow()
    return follower.folder


def test_the_page_can_be_followed(project: Path) -> None:
    assert "sliding window" in (project / "pyproject.toml").read_text(encoding="utf-8")
    assert not (project / "ablate_window" / "codec.py").exists()


def test_its_code_is_as_its_own_ruff_wants_it(project: Path) -> None:
    pytest.importorskip("ruff")
    for command in (["check"], ["format", "--check"]):
        done = subprocess.run([sys.executable, "-m", "ruff", *command, "--no-cache", project])
        assert done.returncode == 0


def test_its_wheel_holds_the_plugin_and_names_it(project: Path) -> None:
    pytest.importorskip("hatchling")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel"]
    subprocess.run(build, cwd=project, check=True, capture_output=True)
    (wheel,) = (project / "dist").glob("*.whl")
    assert wheel.name in PAGE.read_text(encoding="utf-8")
    with ZipFile(wheel) as files:
        assert {"ablate_window/__init__.py", "ablate_window/store.py", "ablate_window/py.typed"} < {
            *files.namelist()
        }
        (points,) = (n for n in files.namelist() if n.endswith("entry_points.txt"))
        assert "[ablate]\nwindow = ablate_window:Window" in files.read(points).decode()


@pytest.mark.slow
def test_types_are_strict(project: Path) -> None:
    pytest.importorskip("mypy")
    with as_installed(read_project(project)) as environment:
        done = subprocess.run(
            [sys.executable, "-m", "mypy"], cwd=project, env={**environment, "MYPYPATH": "."}
        )
    assert done.returncode == 0


@pytest.mark.slow
def test_what_it_measures_can_be_measured(tmp_path: Path) -> None:
    follower = Follower(tmp_path, slow=True)
    follower.follow()
    assert (follower.folder / "runs" / "first" / "report.html").exists()
