"""Two distributions that others could have published, built, installed and used as they would be.

They were written from the documentation alone, and use nothing of ``ablate`` but what it promises.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path

import pytest

from ablate.store import RunDir

SOURCES = Path(__file__).parent / "third_party"
NAMES = ("sparse24", "countdown")
RECIPE = {
    "name": "both",
    "model": "tiny-reasoner",
    "domains": {"countdown": {"limit": 4, "max_numbers": 3}, "arithmetic": {"limit": 2}},
    "sampling": {"max_tokens": 48},
    "blocks": 1,
    "warmup": 1,
    "floor": False,
    "factors": {"weights": [{"sparse24": {}}, {"sparse24": {"share": 0.3}}]},
}
ARMS = ("baseline", "sparse24-share-null", "sparse24-share0.3")


@dataclass(frozen=True)
class Environment:
    """A fresh one on top of this one's packages, with the wheels of both distributions."""

    python: Path

    def run(self, *command: object, cwd: Path) -> str:
        """What ``python -m`` prints; it must succeed."""
        words = [self.python, "-m", *command]
        done = subprocess.run(
            [str(word) for word in words], cwd=cwd, capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
        return done.stdout


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    folder = tmp_path_factory.mktemp("third_party")
    built = folder / "dist"
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    sources = [str(SOURCES / f"ablate-{name}") for name in NAMES]
    alone = ["-q", "--no-deps", "--no-index"]
    wheel = [*pip, "wheel", *alone, "--no-build-isolation", "-w", str(built), *sources]
    subprocess.run(wheel, check=True)
    venv.create(folder / "venv", symlinks=True)
    python = folder / "venv" / "bin" / "python"
    (site,) = folder.glob("venv/lib/*/site-packages")
    (site / "base.pth").write_text("\n".join(p for p in sys.path if Path(p).is_dir()))
    wheels = map(str, sorted(built.glob("*.whl")))
    subprocess.run([*pip, "--python", str(python), "install", *alone, *wheels], check=True)
    return Environment(python)


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    file = tmp_path / "recipe.yaml"
    file.write_text(json.dumps(RECIPE))
    return file


def test_the_wheels_are_installed_beside_ablate(environment: Environment, tmp_path: Path) -> None:
    (tmp_path / "where.py").write_text(
        "import ablate_countdown, ablate_sparse24\n"
        "print(ablate_countdown.__file__, ablate_sparse24.__file__)"
    )
    for place in environment.run("where", cwd=tmp_path).split():
        assert "site-packages" in place
        assert (Path(place).parent / "py.typed").is_file()


def test_ablate_lists_both(environment: Environment, tmp_path: Path) -> None:
    listed = environment.run("ablate", "plugins", cwd=tmp_path)
    for name in NAMES:
        assert f"ablate-{name} 0.1.0" in listed
    assert "Mishra et al. 2021, 2:4 sparsity (2104.08378)" in listed
    broken = listed.partition("Installed but broken")[2]
    assert not any(name in broken for name in NAMES)


def test_a_recipe_with_both_is_planned(environment: Environment, recipe: Path) -> None:
    planned = environment.run("ablate", "plan", recipe, cwd=recipe.parent)
    assert "No conflicts were found." in planned
    assert "countdown (4 problems)" in planned
    assert all(arm in planned for arm in ARMS)


def test_the_recipes_that_they_bring_are_planned(environment: Environment, tmp_path: Path) -> None:
    for name in NAMES:
        recipe = SOURCES / f"ablate-{name}" / "recipe.yaml"
        planned = environment.run("ablate", "plan", recipe, cwd=tmp_path)
        assert "No conflicts were found." in planned


@pytest.mark.slow
def test_ablates_own_checks_hold_for_both(environment: Environment, tmp_path: Path) -> None:
    said = environment.run("ablate", "plugins", "check", *NAMES, cwd=tmp_path)
    assert said.count("all checks hold") == len(NAMES)


@pytest.mark.slow
def test_a_run_with_both_shows_evidence_and_outcomes(
    environment: Environment, recipe: Path
) -> None:
    out = recipe.parent / "run"
    environment.run("ablate", "run", recipe, "--output-dir", out, cwd=recipe.parent)
    run = RunDir(out)
    trials = {t.result.arm: t for t in run.trials(run.info())}
    assert tuple(trials) == ARMS
    assert all(t.result.status == "ok" for t in trials.values())
    for trial in trials.values():
        asked = [r for r in trial.records if r.domain == "countdown"]
        assert [r.difficulty for r in asked] == [3.0] * 4
        assert {r.outcome for r in asked} <= {"correct", "wrong", "unparsed", "truncated"}
    numbers = [t.result.evidence[-1].numbers for t in trials.values() if t.result.evidence]
    assert numbers[0] == {"zeros": 0.5, "groups_2_4": 1.0}
    assert 0.3 <= numbers[1]["zeros"] < 0.301
    report = (out / "report.md").read_text()
    assert "100.0% of the groups of four have two zeros, 50.0% of the weights" in report
    assert "| countdown |" in report


@pytest.mark.parametrize("name", ["countdown", pytest.param("sparse24", marks=pytest.mark.slow)])
def test_their_own_tests_pass_against_the_wheels(
    name: str, environment: Environment, tmp_path: Path
) -> None:
    # without the source beside them, so that the wheel is what they import
    source = SOURCES / f"ablate-{name}"
    shutil.copytree(source / "tests", tmp_path / "tests")
    shutil.copy(source / "pyproject.toml", tmp_path)
    assert " passed" in environment.run("pytest", "-q", "-W", "error", cwd=tmp_path)
