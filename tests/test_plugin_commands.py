"""``ablate plugins`` and what stands behind it: list, show and check."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.metadata import distributions
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from ablate.cli import main
from ablate.plugins import Found, Installed, Plugin, Registry, hookimpl, installed
from ablate.project import as_installed, read_project
from ablate.show.plugins import REGISTERED, print_plugins
from ablate.trial_metric import TrialMetric
from ablate.types import Trial
from tests import stand_ins

Use = Callable[[Installed], None]


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Use:
    """Makes something else be installed."""
    return lambda what: monkeypatch.setattr("ablate.plugins.installed", lambda: what)


class TestList:
    def test_it_fits_120_columns(self) -> None:
        console = Console(width=120, record=True, file=StringIO())
        print_plugins(installed(), console)
        lines = console.export_text().splitlines()
        assert max(map(len, lines)) <= 120
        assert not any(line.rstrip().endswith("…") for line in lines)

    def test_needs_and_drops_are_asked_for(
        self, use: Use, capsys: pytest.CaptureFixture[str]
    ) -> None:
        use(stand_ins.available())
        assert main(["plugins", "list"]) == 0
        out = " ".join(capsys.readouterr().out.split())
        speculator, one_way = (out.split(f" {name} ")[1] for name in ("speculator", "one_way"))
        assert "kind decode" in speculator
        assert "needs rollback drops nothing" in speculator
        assert "needs nothing drops rollback" in one_way

    def test_deprecated_hooks_are_told(self, use: Use, capsys: pytest.CaptureFixture[str]) -> None:
        there = stand_ins.available()
        old = replace(there.found[0], deprecated=("ablate_old is deprecated: use ablate_new",))
        use(replace(there, found=(old,)))
        assert main(["plugins"]) == 0
        assert "deprecated  ablate_old is deprecated: use ablate_new" in capsys.readouterr().out


class TestShow:
    @pytest.mark.parametrize(
        ("name", "texts"),
        [
            ("ngram", ("optimization", "k: a whole number = 4", "logits, rollback", "Saxena 2023")),
            ("local", ("engine", "executor", "offers", "kv_cache_gib")),
            ("gamma", ("arrival", "burstiness", "coefficient of\nvariation")),
            ("arithmetic", ("domain", "ablate.domains.arithmetic.Arithmetic")),
        ],
    )
    def test_everything_that_is_registered(
        self, name: str, texts: tuple[str, ...], capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["plugins", "show", name]) == 0
        out = capsys.readouterr().out
        assert all(text in out for text in texts), out

    def test_what_keeps_it_from_running_here(
        self, use: Use, capsys: pytest.CaptureFixture[str]
    ) -> None:
        use(stand_ins.available())
        assert main(["plugins", "show", "unfit"]) == 0
        assert "in the way  needs a flux capacitor" in capsys.readouterr().out
        assert main(["plugins", "show", "broken"]) == 0
        assert "ImportError: no luck" in capsys.readouterr().out

    def test_a_wrong_name(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["plugins", "show", "aritmetic"]) == 2
        said = "nothing named 'aritmetic' is installed. Did you mean 'arithmetic'?"
        assert said in capsys.readouterr().err


@dataclass(frozen=True)
class Liar(Plugin):
    """Says that it did something."""

    @hookimpl(wrapper=True)
    def ablate_setup_cache(self, model: Any, limits: Any) -> Any:
        return (yield)

    @hookimpl
    def ablate_evidence(self, state: Any) -> Any:
        from ablate.types import Evidence

        return Evidence("liar", True, "it went very well", {"speedup": 11.0})


@dataclass(frozen=True)
class Divides(TrialMetric):
    """tokens / right answers, also where there are none"""

    def measure(self, trial: Trial) -> float:
        right = sum(r.correct for r in trial.records)
        return sum(r.completion.output_tokens for r in trial.records) / right


def only(found: Found | None = None, **metrics: type[TrialMetric]) -> Installed:
    registry = Registry()
    for name, cls in metrics.items():
        registry.add("metric", name, cls)
    plugin = {found.name: found.plugin} if found and found.plugin else {}
    return Installed(plugin, registry, (found,) if found else ())


class TestCheck:
    def test_each_failure_says_what_to_do(
        self, use: Use, capsys: pytest.CaptureFixture[str]
    ) -> None:
        use(only(divides=Divides))
        assert main(["plugins", "check", "divides"]) == 1
        out = " ".join(capsys.readouterr().out.split())
        assert "ok definition" in out
        assert (
            "FAIL numbers raised ZeroDivisionError: division by zero of a trial without a right "
            "answer; return None where there is no number"
        ) in out
        assert "of 5 checks fail" in out

    def test_what_cannot_be_loaded(self, use: Use, capsys: pytest.CaptureFixture[str]) -> None:
        use(stand_ins.available())
        assert main(["plugins", "check", "broken"]) == 1
        assert "FAIL  loads  it cannot be loaded: ImportError: no luck" in capsys.readouterr().out

    def test_a_plugin_that_lies_in_its_evidence_and_uses_what_is_deprecated(
        self, use: Use, capsys: pytest.CaptureFixture[str]
    ) -> None:
        use(only(Found("liar", Liar, "ablate-liar", "1", deprecated=("old is deprecated",))))
        assert main(["plugins", "check", "liar"]) == 1
        out = " ".join(capsys.readouterr().out.split())
        failed = [part.split(" ok ")[0] for part in out.split(" FAIL ")[1:]]
        assert any("evidence" in sentence for sentence in failed), failed
        assert any(sentence.startswith("deprecated old is") for sentence in failed), failed

    def test_what_has_no_checks(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["plugins", "check", "ray"]) == 0
        assert "there are no further checks of executors" in capsys.readouterr().out

    def test_a_wrong_name(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["plugins", "check", "ngrm"]) == 2
        assert "Did you mean 'ngram'?" in capsys.readouterr().err

    def test_no_folder(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["plugins", "check", "./nowhere"]) == 2
        assert "there is no folder ./nowhere" in capsys.readouterr().err


PROJECT = """
[project]
name = "ablate-lame"
version = "0.3"
dependencies = ["torch", "ablate-inference>=0.1"]
[project.entry-points.ablate]
lame = "ablate_lame:Lame"
"""
LAME = """
from ablate.plugins import Plugin, hookimpl
class Lame(Plugin):
    @hookimpl
    def ablate_load_modell(self): ...
"""


def test_a_project_is_checked_as_if_it_were_installed(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "ablate_lame.py").write_text(LAME)
    (tmp_path / "pyproject.toml").write_text(PROJECT)
    command = [sys.executable, "-m", "ablate", "plugins", "check", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1, done.stderr
    out = " ".join(done.stdout.split())
    assert "lame plugin of ablate-lame 0.3" in out
    assert "Did you mean 'ablate_load_model'?" in out


def test_what_a_project_needs_is_read_as_well(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(PROJECT)
    with as_installed(read_project(tmp_path)) as environment:
        site = environment["PYTHONPATH"].split(os.pathsep)[0]
        (dist,) = distributions(path=[site])
        assert dist.requires == ["torch", "ablate-inference>=0.1"]
        assert [point.value for point in dist.entry_points] == ["ablate_lame:Lame"]
    assert not Path(site).exists()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (None, "cannot read .*No such file"),
        ("[project", "is no TOML"),
        ("[project]\nname = 'x'", r"must have a name in \[project\], and plugins in"),
    ],
)
def test_a_folder_that_is_no_plugin_s(text: str | None, why: str, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / "pyproject.toml").write_text(text)
    with pytest.raises(Exception, match=why):
        read_project(tmp_path)


def test_every_registered_kind_can_be_shown() -> None:
    assert set(REGISTERED) >= {"engine", "domain", "arrival", "executor", "metric"}
