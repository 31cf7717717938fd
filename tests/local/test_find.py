"""``find: max_rate_under_slo`` on the in-process engine, by a clock that counts the steps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

import pytest

from ablate.engines.base import EngineContext
from ablate.engines.local import LocalEngine
from ablate.engines.local.session import LocalSession
from ablate.metrics import measure, share_within
from ablate.planning import Arm, make_plan
from ablate.recipe import parse
from ablate.running.trial import run_trial
from ablate.store import RECORDS, TrialDir
from ablate.testing import FakeClock
from ablate.types import Load, Trial
from ablate.workload import build_load

TICK = 0.001
"""Seconds that pass each time the loop looks at its clock, which it does two or three times a step,
whatever the machine does."""
SLO = {"e2e_latency": 0.03}
STEP = 2 ** (1 / 8)  # from the rate that is found to the next that was tried


@dataclass(frozen=True)
class Counted(LocalEngine):
    """The in-process engine by a clock of its own."""

    def open(self, context: EngineContext) -> LocalSession:
        return LocalSession(self, context, FakeClock(tick=TICK))


@pytest.fixture
def planned(tiny_model: Callable[..., Path], tmp_path: Path) -> Callable[..., dict[str, Arm]]:
    def plan(slo: Any = SLO, **keys: Any) -> dict[str, Arm]:
        tree = {
            "name": "test",
            "model": {"id": str(tiny_model()), "dtype": "float32"},
            "domains": {"arithmetic": {"limit": 8}, "logic": {"limit": 8}},
            "sampling": {"max_tokens": 3},
            "workload": {
                "arrival": "poisson",
                "request_rate": 100,
                "find": "max_rate_under_slo",
                "attainment": 0.75,
            },
            "slo": slo,
            "warmup": 1,
            **keys,
        }
        recipe, problems = parse(tree, tmp_path)
        assert recipe is not None, problems
        engine = Counted(max_num_seqs=2)
        return {a.info.id: replace(a, engine=engine) for a in make_plan(recipe).arms}

    return plan


def run(arm: Arm, block: int, folder: Path) -> Trial:
    files = TrialDir(folder)
    files.path.mkdir(parents=True, exist_ok=True)
    result = run_trial(arm, block, files, lambda _: None)
    return Trial(result, files.records(), files.usage())


def within(trial: Trial) -> float:
    return share_within([r.completion for r in trial.records], SLO)


def rate(load: Load) -> float:
    return len(load.requests) / max(r.arrival or 0.0 for r in load.requests)


def at(arm: Arm, speed: float) -> Arm:
    """The arm without a search, its arrivals so many times as fast."""
    process = replace(arm.arrival, find=None)  # type: ignore[call-arg]

    @dataclass(frozen=True)
    class Faster(type(process)):  # type: ignore[misc]
        def offsets(self, n: int, rng: Random) -> list[float]:
            return [t / speed for t in process.offsets(n, rng) or ()]

    return replace(arm, arrival=Faster(process.request_rate))  # type: ignore[attr-defined]


def test_the_rate_that_is_found_keeps_the_bounds_and_the_next_does_not(
    planned: Callable[..., dict[str, Arm]], tmp_path: Path
) -> None:
    arm = planned()["baseline"]
    trial, other = (run(arm, block, tmp_path / str(block)) for block in range(2))
    assert trial.result.status == "ok", trial.result.message
    assert len(trial.records) == 16
    assert within(trial) >= 0.75
    highest = trial.result.counters["max_request_rate"]
    assert measure(trial).all["max_request_rate"] == highest
    speed = highest / rate(build_load(arm, 0))
    # what is kept is the load at that rate, and nothing of the others
    again = run(at(arm, speed), 0, tmp_path / "again")
    assert times(again) == pytest.approx(times(trial), abs=5 * TICK)
    assert within(run(at(arm, speed * STEP), 0, tmp_path / "more")) < 0.75
    assert other.result.counters != trial.result.counters  # each block has its arrivals


def times(trial: Trial) -> list[float]:
    return sorted(r.completion.finished for r in trial.records)


def test_answers_under_the_load_that_was_found_are_those_of_a_batch(
    planned: Callable[..., dict[str, Arm]], tmp_path: Path
) -> None:
    batch = planned(workload={"arrival": "batch", "concurrency": 16})["baseline"]
    texts = [
        {r.completion.request_id: (r.completion.text, r.outcome) for r in trial.records}
        for trial in (
            run(planned()["baseline"], 0, tmp_path / "found"),
            run(batch, 0, tmp_path / "batch"),
        )
    ]
    assert texts[0] == texts[1]


@pytest.mark.parametrize(
    ("slo", "message"),
    [
        ({"ttft": 0.0001}, "even at 0.00390625 times the workload's rate only 0% of the requests"),
        ({"e2e_latency": 1000}, "even at 256 times the workload's rate 100% of the requests kept"),
    ],
)
def test_a_search_without_an_end_fails_and_leaves_nothing_behind(
    planned: Callable[..., dict[str, Arm]], tmp_path: Path, slo: Any, message: str
) -> None:
    trial = run(planned(slo)["baseline"], 0, tmp_path / "trial")
    assert (trial.result.status, trial.result.kind) == ("failed", "error")
    assert message in (trial.result.message or "")
    assert not trial.records
    assert not trial.usage


def test_a_search_that_was_interrupted_is_completed_without_one(
    planned: Callable[..., dict[str, Arm]], tmp_path: Path
) -> None:
    arm, folder = planned()["baseline"], tmp_path / "trial"
    whole = run(arm, 0, folder)
    lines = (folder / RECORDS).read_text().splitlines(keepends=True)
    (folder / RECORDS).write_text("".join(lines[:13]))
    rest = run(arm, 0, folder)
    assert rest.result.resumed
    assert "max_request_rate" not in rest.result.counters
    assert {r.completion.request_id: r.outcome for r in rest.records} == {
        r.completion.request_id: r.outcome for r in whole.records
    }
    assert measure(rest).all["max_request_rate"] is None


def test_no_rate_that_is_tried_finds_prompts_of_the_one_before(
    planned: Callable[..., dict[str, Arm]], tmp_path: Path
) -> None:
    arm = planned(factors={"prefix": [{"prefix_cache": {}}]})["prefix_cache"]
    trial = run(arm, 0, tmp_path / "trial")
    assert trial.result.status == "ok", trial.result.message
    speed = trial.result.counters["max_request_rate"] / rate(build_load(arm, 0))
    once = run(at(arm, speed), 0, tmp_path / "once")
    names = ("prefix_cache_hits", "prefix_cache_queries")
    found, alone = ([t.result.counters[n] for n in names] for t in (trial, once))
    assert found[1] == alone[1]
    assert found[0] == pytest.approx(alone[0], rel=0.2)
    assert found[0] < found[1] / 2  # whole prompts would be found
