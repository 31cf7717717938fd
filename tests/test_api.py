"""The Python API: one run made by a script as a notebook would hold it, then looked at here."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

import ablate
from ablate.api import columns
from ablate.errors import AblateError, RecipeError
from ablate.planning import plan_recipe
from ablate.store import RunDir
from ablate.testing import tiny_model

NOTEBOOK = """
import json, os, signal, sys, threading, time, warnings
from pathlib import Path
import ablate

folder, model = Path(sys.argv[1]), sys.argv[2]

def interrupt():
    while not list(folder.glob("trials/*/0/result.json")):
        time.sleep(0.02)
    os.kill(os.getpid(), signal.SIGINT)

def measure(**more):
    return ablate.run(
        {
            "name": "cells",
            "model": model,
            "domains": ["arithmetic", "logic"],
            "factors": {"kv": ["kv_int8"], "late": [{"set": {"timeout": 0.001}}]},
            "design": "one-at-a-time",
            "blocks": 1,
        },
        output_dir=folder,
        overrides={"sampling.max_tokens": 8, "domains.arithmetic.limit": 3},
        warmup=1,
        workload={"arrival": "batch", "concurrency": 4},
        **{"domains.logic.limit": 2},
        **more,
    )

os.environ["OMP_NUM_THREADS"] = "2"
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in a background job of a shell
threading.Thread(target=interrupt).start()
try:
    measure()
    raise SystemExit("was not interrupted")
except KeyboardInterrupt:
    ended = [path.parts[-3] for path in folder.glob("trials/*/0/result.json")]

os.environ["OMP_NUM_THREADS"] = "1"
with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    run = measure(resume=True)
print(json.dumps({"ended": ended, "path": str(run.path), "failed": [f["arm"] for f in run.failures],
                  "said": [str(w.message) for w in said], "file": said[-1].filename}))
"""
"""No guard of `__main__`: a child of multiprocessing would execute it again."""

RECIPE: Mapping[str, Any] = {
    "model": "tiny-draft",
    "domains": {"arithmetic": {"limit": 2}},
    "sampling": {"temperature": 0.5, "max_tokens": 32},
}


@dataclass(frozen=True)
class Made:
    run: ablate.Run
    said: Mapping[str, Any]
    script: Path
    log: str


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("api")
    model = tiny_model(folder / "model")
    script = folder / "cells.py"
    script.write_text(NOTEBOOK)
    done = subprocess.run(
        [sys.executable, str(script), str(folder / "run"), str(model)],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return Made(ablate.load(folder / "run"), json.loads(done.stdout), script, done.stderr)


def test_a_script_without_a_guard_runs_once(made: Made) -> None:
    assert made.said["path"] == str(made.run.path)
    assert made.log.count("trials into") == 2  # plain lines, as in a log
    assert made.run.results["run"]["name"] == "cells"
    assert made.run.results["run"]["requests_per_trial"] == 5


def test_an_interrupted_run_says_how_to_go_on_and_does(made: Made) -> None:
    kept = [arm for arm in made.said["ended"] if arm != "timeout0.001"]  # failed ones run again
    assert 0 < len(made.said["ended"]) < 4
    assert "the same call with resume=True goes on" in made.log
    assert f"{4 - len(kept)} trials into {made.run.path}" in made.log
    assert made.run.results["run"]["complete"]


def test_every_run_has_the_environment_of_its_time(made: Made) -> None:
    trials = RunDir(made.run.path)
    found = {
        arm: trials.trial(arm, 0).result() for arm in ("baseline", "baseline-again", "kv_int8")
    }
    threads = {arm: result.info["threads"] for arm, result in found.items() if result}
    assert threads == {arm: "2" if arm in made.said["ended"] else "1" for arm in found}


def test_a_failed_arm_is_told_and_raises_nothing(made: Made) -> None:
    assert made.said["failed"] == ["timeout0.001"]
    assert made.said["file"] == str(made.script)  # the warning points at the caller's line
    (warning,) = made.said["said"]
    assert "timeout0.001, block 0: timeout: the trial took more than 0.001 s" in warning
    (failure,) = made.run.failures
    assert (failure["arm"], failure["block"], failure["kind"]) == ("timeout0.001", 0, "timeout")


def test_what_is_loaded_is_what_was_written(made: Made) -> None:
    assert made.run.results == json.loads((made.run.path / "results.json").read_text())


def rows(frame: pd.DataFrame, *keys: str) -> dict[tuple[Any, ...], dict[str, Any]]:
    """The rows by the values of some columns; ``<NA>`` as None. No two may be alike."""
    plain = [
        {k: None if v is pd.NA else v for k, v in row.items()} for row in frame.to_dict("records")
    ]
    found = {tuple(row[key] for key in keys): row for row in plain}
    assert len(found) == len(frame)
    return found


def test_the_table_holds_the_numbers_of_the_results(made: Made) -> None:
    table = rows(made.run.table(), "arm", "domain")
    assert len(table) == 4 * 3  # arms, and for each all problems and two domains
    for arm in made.run.results["arms"]:
        for domain, metrics in {None: arm["summary"], **arm["domains"]}.items():
            accuracy = arm["accuracy"]
            estimate = accuracy["domains"][domain] if domain else accuracy["overall"]
            expected = {
                **metrics,
                "accuracy": estimate["value"],
                "accuracy_low": estimate["low"],
                "accuracy_high": estimate["high"],
                "problems": estimate["n"],
                "status": arm["status"],
                "factor.kv": arm["levels"]["kv"],
            }
            row = table[arm["id"], domain]
            assert {name: row[name] for name in expected} == expected


def test_the_contrasts_hold_the_numbers_of_the_results(made: Made) -> None:
    results = made.run.results
    frame = rows(made.run.contrasts(), "kind", "name", "metric", "domain")
    for e in (*results["effects"], *results["interactions"]):
        row = frame.pop((e["kind"], e["name"], e["metric"], e["domain"]))
        assert {name: e[name] for name in row} == row
    floor = results["noise_floor"]["contrasts"]
    for kind, contrasts in (("arm", results["contrasts"]), ("floor", floor)):
        for c in contrasts:
            found = {("accuracy", None): c["accuracy"]["overall"]}
            found |= {("accuracy", d): e for d, e in c["accuracy"]["domains"].items()}
            found |= {(name, None): e for name, e in c["ratios"].items()}
            found |= {(m, d): e for d, own in c["domain_ratios"].items() for m, e in own.items()}
            for (metric, domain), e in found.items():
                row = frame.pop((kind, c["arm"], metric, domain))
                both = row.keys() & e.keys()
                assert both >= {"value", "low", "high", "n", "method"}
                assert {name: row[name] for name in both} == {name: e[name] for name in both}
                assert row["unit"] == ("share" if metric == "accuracy" else "ratio")
    assert not frame  # no other rows


def test_the_records_are_those_of_the_parquet_file(made: Made) -> None:
    records = made.run.records()
    assert len(records) == 3 * 5  # the failed arm got nothing done
    ours = rows(records, "arm", "block", "domain", "problem_id", "sample").values()
    assert list(ours) == pq.read_table(made.run.path / "results.parquet").to_pylist()


def test_columns_have_the_types_that_are_documented(made: Made) -> None:
    levels = dict.fromkeys(["factor.kv", "factor.late"], "string")
    frames = {
        "table": (made.run.table(), {n: c.dtype for n, c in columns.TABLE.items()} | levels),
        "contrasts": (made.run.contrasts(), {n: c.dtype for n, c in columns.CONTRASTS.items()}),
    }
    for frame, types in frames.values():
        assert {name: str(dtype) for name, dtype in frame.dtypes.items()} == types
    assert list(made.run.records().columns)[-2:] == list(levels)


def test_the_report_is_written_again(made: Made) -> None:
    page = made.run.path / "report.html"
    page.unlink()
    assert made.run.report() == page
    assert "cells" in page.read_text(encoding="utf-8")


def test_a_notebook_shows_verdicts_and_failures(made: Made) -> None:
    shown = made.run._repr_html_()
    assert "<th>kv.kv_int8</th>" in shown
    assert "Failed: timeout0.001, block 0" in shown
    assert str(made.run.path) in shown


def test_pandas_is_asked_for_by_name(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(AblateError, match=r"pip install 'ablate-inference\[notebook\]'"):
        made.run.table()


class TestOverrides:
    def test_keys_dotted_keys_and_nested_values(self, tmp_path: Path) -> None:
        plan = ablate.plan(
            RECIPE,
            overrides={"sampling.max_tokens": np.int64(7), "domains.logic": {"limit": 2}},
            blocks=np.arange(3)[2],
            workload={"arrival": "gamma", "request_rate": 4},
            margins={"accuracy": 0.01},
            model=tiny_model(tmp_path / "model"),
            factors={"kv": ["kv_int8"]},
            floor=False,
        ).recipe
        assert (plan.sampling.max_tokens, plan.sampling.temperature) == (7, 0.5)
        assert dict(plan.domains) == {"arithmetic": {"limit": 2}, "logic": {"limit": 2}}
        assert plan.workload == {"arrival": "gamma", "request_rate": 4}
        assert (plan.blocks, plan.model.id, plan.name) == (2, str(tmp_path / "model"), "run")
        assert RECIPE["sampling"] == {"temperature": 0.5, "max_tokens": 32}  # not written into

    def test_a_value_replaces_what_the_key_had(self) -> None:
        plan = ablate.plan(RECIPE, sampling={"max_tokens": 7})
        assert plan.recipe.sampling.temperature == 0

    def test_a_file_gives_what_the_command_line_makes_of_it(self, tmp_path: Path) -> None:
        file = tmp_path / "asked.yaml"
        file.write_text(json.dumps(RECIPE))
        dotted: dict[str, Any] = {"domains.arithmetic.limit": 5}
        ours = ablate.plan(file, blocks=1, **dotted)
        theirs = plan_recipe(file, ["blocks=1", "domains.arithmetic.limit=5"])
        assert (ours.recipe, ours.arms, ours.trials) == (theirs.recipe, theirs.arms, theirs.trials)
        assert repr(ours) == "<Plan 'asked': 2 trials of the arms baseline, baseline-again>"

    def test_everything_wrong_is_said_at_once(self) -> None:
        with pytest.raises(RecipeError) as raised:
            ablate.run(RECIPE, overrides={"sampling.max_tokens.x": 3}, design="all", wrkload={})
        text = "\n".join(raised.value.problems)
        assert "override 'sampling.max_tokens.x': sampling.max_tokens is 32" in text
        assert "Did you mean 'workload'?" in text


def test_a_folder_that_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(AblateError, match="is no run directory"):
        ablate.load(tmp_path)


def test_importing_is_light_and_planning_needs_no_numbers() -> None:
    code = f"""
import sys, ablate
light = {{m for m in sys.modules if m.startswith("ablate.")}}
assert not light, light
assert ablate.plan({dict(RECIPE)!r}).trials
loaded = {{"torch", "numpy", "scipy", "pandas", "transformers"}} & set(sys.modules)
assert not loaded, loaded
import ablate.running.progress
assert callable(ablate.run) and callable(ablate.plan)
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
