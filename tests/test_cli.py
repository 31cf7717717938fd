"""The command line: what it prints, what it returns, and what it does not import."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import ablate
from ablate import planning, running
from ablate.cli import main
from ablate.planning import Plan
from ablate.store import RunDir
from ablate.types import ArmInfo, RunInfo, TrialResult
from tests import stand_ins
from tests.conftest import WriteRecipe
from tests.test_report import finished, info, stored

RECIPES = Path(__file__).parent.parent / "recipes"
RECIPE = """
name: small
model: some/model
domains: {count: {limit: 2}}
factors: {weights: [{loader: {bits: 3}}]}
blocks: 2
"""


@pytest.fixture(autouse=True)
def _only_stand_ins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "installed", stand_ins.available)
    monkeypatch.setattr("ablate.plugins.installed", stand_ins.available)


@pytest.fixture
def recipe(write_recipe: WriteRecipe) -> str:
    return str(write_recipe(RECIPE))


class TestPlan:
    def test_prints_arms_levels_trials_and_size(
        self, recipe: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["plan", recipe]) == 0
        out = capsys.readouterr().out
        for text in (
            "count (2 problems)",
            "factorial, 3 arms x 2 blocks",
            "baseline-again",
            "loader bits=3 name=x",
            "6,144 at most",
            "no expectation",
            "What it can detect",
            "No conflicts were found.",
        ):
            assert text in out

    def test_overrides_before_and_behind_options(
        self, recipe: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        given = ["run", recipe, "blocks=1", "--dry-run", "domains.count.limit=7"]
        assert main(given) == 0
        out = capsys.readouterr().out
        assert "count (7 problems)" in out
        assert "3 arms x 1 blocks" in out

    def test_one_problem(self, recipe: str, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["plan", recipe, "blocs=1"]) == 2
        shown = capsys.readouterr()
        assert shown.out == ""
        assert shown.err == ("ablate: error: blocs: there is no such key. Did you mean 'blocks'?\n")

    def test_problems_of_values_and_of_the_plan_come_together(
        self, recipe: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["plan", recipe, "blocks=0", "factors={a: [{no_such_plugin: {}}]}"]) == 2
        shown = capsys.readouterr().err
        assert "blocks: must be at least 1" in shown
        assert "no_such_plugin" in shown

    def test_several_problems(self, recipe: str, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["plan", recipe, "engine=x", "domains.y={}"]) == 2
        lines = capsys.readouterr().err.splitlines()
        assert lines[0] == "ablate: error: 2 problems"
        assert all(line.startswith("  - ") for line in lines[1:])
        assert len(lines) == 3

    @pytest.mark.parametrize(
        "given", [[], ["plan"], ["plna"], ["plan", "r.yaml", "--no-such"], ["plugins", "a=b"]]
    )
    def test_wrong_usage(self, given: list[str], capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit) as caught:
            main(given)
        assert caught.value.code == 2
        assert "usage: ablate" in capsys.readouterr().err


def test_planning_is_light() -> None:
    program = """
import sys
from ablate.cli import main
code = main(["plan", sys.argv[1]])
heavy = {"torch", "transformers", "scipy", "numpy"} & set(sys.modules)
sys.exit(f"imported {heavy}" if heavy or code else 0)
"""
    command = [sys.executable, "-c", program, str(RECIPES / "kv+prefix.yaml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "kv_int8+prefix_cache" in done.stdout


def test_a_reader_that_leaves_is_no_error() -> None:
    plan = f"{sys.executable} -m ablate plan '{RECIPES / 'kv+prefix.yaml'}'"
    command = f"{plan} | :; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.stdout == "141\n"


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"ablate {ablate.__version__}\n"


def test_plugins_shows_all_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plugins"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    for text in (
        "loader Supplies the model.",
        "bits: a whole number = 4",
        "ablate_load_model (plain)",
        "from stand-ins 1",
        "plugin local server loader yes yes other yes yes speculator yes -",
        "request_rate: a number (needed)",
        "broken shaky 0.3 ImportError: no luck",
    ):
        assert text in out


def run_dir(path: Path, *statuses: Any) -> RunDir:
    arm = ArmInfo("baseline", {}, {})
    made = RunDir(path)
    path.mkdir(exist_ok=True)
    made.write_info(
        RunInfo("small", "2025-01-01T00:00:00", "0", "m", "local", ("count",), (arm,), 2, 1)
    )
    for block, status in enumerate(statuses):
        made.trial("baseline", block).path.mkdir(parents=True)
        made.trial("baseline", block).write_result(
            TrialResult("baseline", block, status, kind=None if status == "ok" else "timeout")
        )
    return made


class TestRun:
    @pytest.mark.parametrize(
        ("statuses", "code"), [(("ok", "ok"), 0), (("ok", "failed"), 1), (("ok",), 1)]
    )
    def test_the_exit_code_says_whether_all_trials_are_there(
        self,
        statuses: tuple[str, ...],
        code: int,
        recipe: str,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        asked: list[Any] = []

        def run_plan(plan: Plan, *rest: Any) -> RunDir:
            asked.extend([plan.recipe.name, *rest])
            return run_dir(tmp_path / "out", *statuses)

        monkeypatch.setattr(running, "run_plan", run_plan)
        folder = tmp_path / "out"
        assert main(["run", recipe, "--output-dir", str(folder), "--resume"]) == code
        assert asked == ["small", folder, True]
        assert (folder / "results.json").exists()
        assert main(["report", str(folder)]) == code

    def test_an_interrupt_says_how_to_go_on(
        self, recipe: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        def interrupted(*_: Any) -> RunDir:
            raise KeyboardInterrupt

        monkeypatch.setattr(running, "run_plan", interrupted)
        assert main(["run", recipe, "blocks=1"]) == 130
        assert f"to go on: ablate run {recipe} blocks=1 --resume" in capsys.readouterr().err


def test_a_folder_that_is_no_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(tmp_path)]) == 2
    assert "ablate: error: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("claims", "code"),
    [
        ([{"claim": "faster", "factor": "weights"}], 0),
        ([{"claim": "faster", "factor": "weights"}, {"claim": "slower", "factor": "weights"}], 1),
        ([{"claim": "faster", "factor": "weights"}, {"claim": "faster", "factor": "nope"}], 3),
        ([], 2),
    ],
)
def test_gate_says_by_its_exit_code_whether_claims_hold(
    claims: list[dict[str, str]], code: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stored(tmp_path, info(), finished())
    (tmp_path / "recipe.yaml").write_text(json.dumps({"claims": claims}))
    assert main(["gate", str(tmp_path)]) == code
    assert len(capsys.readouterr().out.splitlines()) >= len(claims)


def test_compare_matches_arms_of_two_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, other, fewer = (tmp_path / name for name in ("a", "b", "c"))
    for folder in (one, other, fewer):
        folder.mkdir()
    stored(one, info(), finished())
    stored(other, info(), finished())
    short = [replace(t, records=t.records[1:]) for t in finished()]
    stored(fewer, info(), short)
    assert main(["compare", str(one), str(other)]) == 0
    out = capsys.readouterr().out
    assert "baseline-again" in out
    assert "(same)" in out
    assert main(["compare", str(one), str(fewer)]) == 2
    assert "1 are in one of them only, such as arithmetic/0" in capsys.readouterr().err
    assert main(["compare", str(one), str(tmp_path)]) == 2
