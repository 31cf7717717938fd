"""``ablate plugins new``: what it writes works as it is, and bad names are refused."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from collections.abc import Callable
from functools import partial
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

import pytest

from ablate import plugins
from ablate.cli import main
from ablate.plugins import Installed, installed
from ablate.project import read_project
from ablate.scaffold import KINDS, compatible, write_project

LONG = "of_a_name_that_goes_on_and"
New = Callable[..., Path]


@pytest.fixture
def new(tmp_path: Path) -> New:
    """Writes a project of a kind."""

    def write(kind: str, prefix: str = "demo") -> Path:
        return write_project(f"{prefix}_{kind}", kind, tmp_path / prefix / kind, installed())

    return write


def run(*command: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([str(c) for c in command], cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done


def test_ruff_has_nothing_to_say(new: New, tmp_path: Path) -> None:
    pytest.importorskip("ruff")
    for kind in KINDS:
        new(kind)
        new(kind, LONG)
    run(sys.executable, "-m", "ruff", "check", "--no-cache", ".", cwd=tmp_path)
    run(sys.executable, "-m", "ruff", "format", "--no-cache", "--check", ".", cwd=tmp_path)


@pytest.mark.parametrize("kind", KINDS)
def test_its_recipe_plans_and_its_checks_hold(
    kind: str, new: New, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = new(kind)
    see(folder, monkeypatch)
    assert main(["plan", str(folder / "recipe.yaml")]) == 0
    assert "No conflicts were found." in capsys.readouterr().out
    code = main(["plugins", "check", f"demo_{kind}"])
    assert code == 0, capsys.readouterr().out


def see(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this process find the project as if it were installed."""
    monkeypatch.syspath_prepend(str(folder))
    points = [EntryPoint(n, t, "ablate") for n, t in read_project(folder).entry_points.items()]
    everything = [*entry_points(group="ablate"), *points]
    monkeypatch.setattr(plugins, "entry_points", lambda group: everything)
    found: Callable[[], Installed] = partial(lambda made: made, installed.__wrapped__())
    for user in ("ablate.plugins.installed", "ablate.planning.installed"):
        monkeypatch.setattr(user, found)


def test_really_installed_it_is_green(new: New, tmp_path: Path) -> None:
    green_as_installed(new("arrival", "really"), tmp_path / "venv")


@pytest.mark.slow
@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"arrival"}))
def test_really_installed_every_kind_is_green(kind: str, new: New, tmp_path: Path) -> None:
    green_as_installed(new(kind, "really"), tmp_path / "venv")


def green_as_installed(folder: Path, environment: Path) -> None:
    """Install the project into a fresh environment, and do what its README says."""
    venv.create(environment, symlinks=True)
    python = environment / "bin" / "python"
    (site,) = environment.glob("lib/*/site-packages")
    (site / "base.pth").write_text("\n".join(p for p in sys.path if Path(p).is_dir()))
    install = ["install", "-q", "--no-deps", "--no-build-isolation", "-e", "."]
    run(sys.executable, "-m", "pip", "--python", python, *install, cwd=folder)
    assert "passed" in run(python, "-m", "pytest", "-q", cwd=folder).stdout
    name = next(iter(read_project(folder).entry_points))
    ablate = partial(run, python, "-m", "ablate", cwd=folder)
    assert "all checks hold" in ablate("plugins", "check", ".").stdout
    assert name in ablate("plan", "recipe.yaml").stdout


@pytest.mark.slow
def test_types_are_strict(new: New, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("mypy")
    folders = [new(kind, "typed") for kind in KINDS]  # others are imported here by now
    monkeypatch.setenv("MYPYPATH", os.pathsep.join(map(str, folders)))
    files = [file for folder in folders for file in folder.rglob("*.py")]
    run(sys.executable, "-m", "mypy", "--strict", *files, cwd=tmp_path)


class TestRefused:
    @pytest.mark.parametrize(
        ("name", "kind", "why"),
        [
            ("my-idea", "kv", "'my-idea' cannot name a module; use small letters"),
            ("import", "kv", "cannot name a module"),
            ("2nd", "kv", "cannot name a module"),
            ("kv_int8", "kv", "the name 'kv_int8' is taken by ablate-inference "),
            ("arithmetic", "domain", "the name 'arithmetic' is taken by ablate-inference "),
            ("vllm", "domain", "a module ablate_vllm is installed already"),
            ("plugin", "kv", "a class Plugin would hide one that it needs"),
        ],
    )
    def test_names(
        self, name: str, kind: str, why: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        given = ["plugins", "new", name, "--kind", kind, "--output-dir", str(tmp_path / "new")]
        assert main(given) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert why in line
        assert not (tmp_path / "new").exists()

    def test_a_folder_with_something_in_it(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (tmp_path / "note").touch()
        given = ["plugins", "new", "my_idea", "--kind", "kv", "--output-dir", str(tmp_path)]
        assert main(given) == 2
        assert "is not empty; choose another with --output-dir" in capsys.readouterr().err


def test_its_folder_is_named_after_its_distribution(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["plugins", "new", "my_idea", "--kind", "metric"]) == 0
    assert "cd ablate-my-idea\n" in capsys.readouterr().out
    assert read_project(tmp_path / "ablate-my-idea").name == "ablate-my-idea"


@pytest.mark.parametrize(
    ("version", "bound"),
    [("0.1.0", ">=0.1,<0.2"), ("0.12.3.dev1", ">=0.12,<0.13"), ("2.3.1", ">=2.3,<3")],
)
def test_the_versions_that_it_asks_for(version: str, bound: str) -> None:
    assert compatible(version) == bound
