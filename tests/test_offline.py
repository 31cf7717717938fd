"""Accuracy under load against offline: the twins that are planned, and what reports say of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from ablate.arrivals import Batch
from ablate.errors import RecipeError
from ablate.planning import Plan, make_plan
from ablate.recipe import ModelConfig, Recipe
from ablate.report import write_report
from ablate.report.results import build_results
from ablate.store import RunDir
from ablate.types import ArmInfo, RunInfo
from ablate.workload import build_load
from tests import stand_ins
from tests.test_report import ARMS, SCHEMA, failed, finished, info, printed, stored, trial

LOAD = {"arrival": "gamma", "request_rate": 5, "turns": 2, "mix": {"count": 2}, "offline": 8}


def plan(**keys: Any) -> Plan:
    recipe = {
        "name": "test",
        "model": ModelConfig("some/model"),
        "domains": {"count": {"limit": 10}, "spell": {"limit": 10}},
        "workload": LOAD,
        "factors": {"w": ({"loader": {}},)},
        **keys,
    }
    return make_plan(Recipe(**recipe), stand_ins.available())


def test_every_arm_has_a_twin_in_the_first_block() -> None:
    made = plan()
    names = [arm.info.id for arm in made.arms]
    assert names == ["baseline", "baseline-again", "loader", "baseline-offline", "loader-offline"]
    assert [arm.info.offline_of for arm in made.arms] == ["", "", "", "baseline", "loader"]
    twins = [t.block for t in made.trials if t.arm.info.offline_of]
    assert twins == [0, 0]
    assert len(made.trials) == 3 * 3 + 2


def test_a_twin_asks_the_same_requests_as_a_batch() -> None:
    arms = {arm.info.id: arm for arm in plan().arms}
    twin = arms["loader-offline"]
    assert twin.arrival == Batch(8, turns=2, mix={"count": 2})
    assert twin.plugins == arms["loader"].plugins
    load, batch = build_load(arms["loader"], 0), build_load(twin, 0)
    assert batch.concurrency == 8
    assert [replace(r, arrival=None) for r in load.requests] == list(batch.requests)


def test_an_arm_that_is_no_open_loop_has_none() -> None:
    level = {"set": {"workload": {"arrival": "batch"}}}
    made = plan(factors={"w": ({"loader": {}}, level)}, floor=False)
    twins = [arm.info.offline_of for arm in made.arms if arm.info.offline_of]
    assert twins == ["baseline", "loader"]
    assert not any(a.info.offline_of for a in plan(workload={"arrival": "batch"}).arms)


@pytest.mark.parametrize(
    ("workload", "message"),
    [
        ({**LOAD, "offline": 0}, "workload: offline must be at least 1, not 0"),
        ({"arrival": "batch", "offline": 4}, "workload.offline: there is no such key."),
    ],
)
def test_what_cannot_be_offline(workload: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError) as raised:
        plan(workload=workload)
    assert message in "\n".join(raised.value.problems)


def twin_of(name: str) -> ArmInfo:
    one = next(arm for arm in ARMS if arm.id == name)
    return replace(one, id=f"{name}-offline", offline_of=name)


def with_twins(margin: float = 0.02) -> RunInfo:
    made = info((*ARMS, twin_of("baseline"), twin_of("awq")))
    return replace(made, margins={"accuracy": margin})


def found(wrong: Iterable[int], margin: float = 0.02) -> dict[str, Any]:
    """The baseline is as right offline; awq, wrong in 20 under load, in these offline."""
    twins = [trial("baseline-offline", 0, 9.0, wrong=[0, 1]), trial("awq-offline", 0, 9.0, wrong)]
    results = build_results(with_twins(margin), [*finished(), *twins])
    jsonschema.validate(results, SCHEMA)
    return results


def test_each_arm_is_held_against_its_twin_problem_by_problem() -> None:
    results = found(range(4))
    baseline, awq = results["offline"]
    assert (baseline["arm"], baseline["offline"]) == ("baseline", "baseline-offline")
    assert baseline["overall"]["value"] == 0
    logic = awq["domains"]["logic"]
    assert (logic["under_load"], logic["alone"]) == (0.5, 0.9)
    assert logic["value"] == pytest.approx(-0.4)
    assert (logic["n"], logic["worse"], logic["better"]) == (40, 16, 0)
    assert logic["high"] < 0
    assert logic["standing"] == "behind"
    assert awq["domains"]["arithmetic"]["standing"] == "open"  # 40 problems rule out no 2 points
    assert found(range(20), margin=0.1)["offline"][1]["domains"]["logic"]["standing"] == "equal"


def test_twins_count_for_nothing_else() -> None:
    results, without = found(range(4)), build_results(info(), finished())
    own = ("offline", "run")
    assert {k: v for k, v in results.items() if k not in own} == {
        k: v for k, v in without.items() if k not in own
    }
    assert without["offline"] == []
    assert results["run"]["trials_planned"] == without["run"]["trials_planned"] + 2
    assert results["run"]["complete"]


def test_tables_show_it_and_a_twin_that_failed_is_named() -> None:
    text = printed(found(range(4)), 120)
    assert "Accuracy under load" in text
    assert "50.0 %, 90.0 %" in text
    assert "Accuracy under load" not in printed(build_results(info(), finished()), 120)
    trials = [*finished(), trial("baseline-offline", 0), failed("awq-offline", 0)]
    results = build_results(with_twins(), trials)
    assert [e["arm"] for e in results["offline"]] == ["baseline"]
    assert [f["arm"] for f in results["failures"]] == ["awq-offline"]


def test_a_run_with_twins_is_read_back(tmp_path: Path) -> None:
    twins = [trial("baseline-offline", 0), trial("awq-offline", 0)]
    run_dir = stored(tmp_path, with_twins(), [*finished(), *twins])
    results = write_report(RunDir(run_dir.path))
    assert results["run"]["complete"]
    assert len(results["offline"]) == 2
    page = (run_dir.path / "report.html").read_text()
    assert "Accuracy under load" in page
