"""The parts of the executor that need no Ray."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import pytest

from ablate.cli import main
from ablate.engines.base import Engine, EngineContext, Session
from ablate.errors import AblateError
from ablate.planning import Arm, make_plan, plan_recipe
from ablate.plugins import Plugin, hookimpl
from ablate.recipe import load_recipe, resolved_yaml
from ablate.store import TrialDir
from ablate.types import ModelSpec
from ablate_ray import RayExecutor
from ablate_ray.checks import Probe, complaints, doubts
from ablate_ray.node import PREFIX, Courier
from ablate_ray.placing import Demand, Node, demand
from ablate_ray.sizes import gpus_wanted, parallel_sizes

RECIPE = """
name: small
model: tiny-reasoner
domains: {arithmetic: {limit: 2}}
"""
BIG = Node("aaaaaaaaaa", "big", 16)
SMALL = Node("bbbbbbbbbb", "small", 4)
EIGHT = Node("cccccccccc", "eight", 64, 8, "H100")
TWO = Node("dddddddddd", "two", 8, 2, "A10")


@dataclass(frozen=True)
class Owner(Engine):
    """Owns its loop and takes arguments."""

    args: dict[str, Any] = field(default_factory=dict)
    device: str = "auto"

    calls: ClassVar[frozenset[str]] = frozenset({"ablate_engine_args"})
    backends: ClassVar[tuple[str, ...]] = ("vllm",)

    def open(self, context: EngineContext) -> Session:
        raise NotImplementedError


@dataclass(frozen=True)
class Wide(Plugin):
    """Sets a size of its own, and a value that takes work."""

    @hookimpl
    def ablate_engine_args(self, engine: str, model: ModelSpec) -> Mapping[str, Any]:
        return {"data_parallel_size": 3, "model": lambda: pytest.fail("made while planning")}


def arm_with(engine: Engine, plugins: Mapping[str, Plugin], folder: Path) -> Arm:
    file = folder / "recipe.yaml"
    file.write_text(RECIPE)
    return replace(make_plan(load_recipe(file)).arms[0], engine=engine, plugins=plugins)


@pytest.mark.parametrize(
    ("options", "product"),
    [
        ({}, {}),
        ({"tensor_parallel_size": 2, "max_num_seqs": 8}, {"tensor": 2}),
        ({"args": {"tensor-parallel-size": 2, "pipeline_parallel_size": "2"}}, None),
        (
            {"args": ["--tensor-parallel-size=4", "-dp", "2", "--port", "80"]},
            {"tensor": 4, "data": 2},
        ),
        ({"args": ["--tp"]}, {}),
        ({"tp": 2, "other": [1, 2]}, {"tensor": 2}),
    ],
)
def test_sizes_are_found_wherever_an_engine_has_them(
    options: object, product: dict[str, int] | None
) -> None:
    expected = {"tensor": 2, "pipeline": 2} if product is None else product
    assert dict(parallel_sizes(options)) == expected


def test_gpus_are_those_that_the_engine_is_set_to_use(tmp_path: Path) -> None:
    two = Owner(args={"tensor_parallel_size": 2})
    assert gpus_wanted(arm_with(Owner(), {}, tmp_path)) is None
    assert gpus_wanted(arm_with(two, {}, tmp_path)) == 2
    assert gpus_wanted(arm_with(two, {"wide": Wide()}, tmp_path)) == 6
    assert gpus_wanted(arm_with(replace(two, device="cpu"), {}, tmp_path)) == 0
    assert gpus_wanted(arm_with(Owner(device="cuda"), {}, tmp_path)) == 1


@pytest.mark.parametrize(
    ("nodes", "cpus", "gpus", "expected"),
    [
        ([SMALL, BIG], None, None, Demand(16, 0)),
        ([SMALL, BIG], 2, None, Demand(2, 0)),
        ([SMALL, EIGHT, TWO], None, None, Demand(4, 1)),
        ([SMALL, EIGHT, TWO], None, 4, Demand(32, 4)),
        ([SMALL, EIGHT], None, 0, Demand(64, 0)),
        ([Node("e", "bare", 0), SMALL], None, None, Demand(4, 0)),
    ],
)
def test_what_a_trial_takes(
    nodes: list[Node], cpus: int | None, gpus: int | None, expected: Demand
) -> None:
    assert demand(nodes, cpus, gpus) == expected


@pytest.mark.parametrize(
    ("nodes", "cpus", "gpus"),
    [([SMALL], None, 1), ([TWO], None, 4), ([SMALL], 5, None), ([], 1, 0)],
)
def test_what_no_node_can_hold_is_said_at_once(
    nodes: list[Node], cpus: int | None, gpus: int | None
) -> None:
    with pytest.raises(AblateError, match=r"no node of the Ray cluster can hold a trial"):
        demand(nodes, cpus, gpus)


def test_a_node_that_is_unfit_is_named_with_its_reason() -> None:
    here = {"ablate-inference": "1.0", "their-plugin": "2.0"}
    good = Probe({"python": "3.11.9"}, here)
    assert complaints({BIG: good}, here, "3.11.7") == []
    wrong = {
        BIG: Probe(error="No module named 'ablate_ray'"),
        SMALL: Probe({"python": "3.12.1"}, {"ablate-inference": "0.9"}, ("model 'x': is not",)),
    }
    assert complaints(wrong, here, "3.11.7") == [
        "node big (aaaaaaaa): No module named 'ablate_ray'",
        "node small (bbbbbbbb): has Python 3.12.1, and ablate runs on 3.11.7 here",
        "node small (bbbbbbbb): has ablate-inference 0.9, and 1.0 is installed here",
        "node small (bbbbbbbb): lacks their-plugin 2.0, which is installed here",
        "node small (bbbbbbbb): model 'x': is not",
    ]


def test_nodes_that_are_idle_or_unlike_are_told_of() -> None:
    probe = Probe({"cpu": "X", "cores": 8})
    alike = {BIG: probe, replace(BIG, id="other"): probe}
    assert doubts([*alike, Node("head", "head", 0)], alike, [Demand(16, 0)]) == []
    (idle,) = doubts([*alike, SMALL], alike, [Demand(16, 0)])
    assert "small (bbbbbbbb) gets no trials: it has 4 CPUs" in idle
    (unlike,) = doubts([EIGHT, TWO], {EIGHT: probe, TWO: probe}, [Demand(4, 1)])
    assert "8 GPUs of H100" in unlike
    assert "2 GPUs of A10" in unlike
    (slower,) = doubts([BIG], {**alike, BIG: Probe({"cpu": "Y", "cores": 8})}, [Demand(16, 0)])
    assert "not alike" in slower


def test_whole_lines_are_sent_as_they_come(tmp_path: Path) -> None:
    sent: list[Mapping[str, Any]] = []
    records = tmp_path / "records.jsonl"
    records.write_text("kept\n")
    with Courier(TrialDir(tmp_path), sent.append):
        with records.open("a") as stream:
            stream.write("new ä\ntorn")
        (tmp_path / "log.txt").write_text("said\n")
    assert sent == [{"gained": {"records.jsonl": "new ä\n", "log.txt": "said\n"}}]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("executor=rai", "executor: there is no executor 'rai'. Did you mean 'ray'?"),
        ("executor.ray.gpu=1", "executor.ray.gpu: there is no such key. Did you mean 'gpus'?"),
        ("executor.ray.gpus=-1", "gpus: must be at least 0"),
        ("executor.ray.cpus=0", "cpus: must be at least 1"),
        ("executor.ray.address=ray://head:10001", "address: must be auto or host:port"),
        ("executor=[ray]", "executor: must be one executor, as a name or mapping"),
        ("factors.where=[{set: {executor: ray}}]", "is shared by all arms and cannot be a level"),
        ("factors.where=[{set: {executor.ray.cpus: 2}}]", "is shared by all arms"),
    ],
)
def test_what_is_wrong_is_said_when_the_recipe_is_planned(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], override: str, message: str
) -> None:
    file = tmp_path / "recipe.yaml"
    file.write_text(RECIPE)
    assert main(["plan", str(file), override]) == 2
    assert message in capsys.readouterr().err


def test_where_trials_run_is_no_part_of_what_they_measure(tmp_path: Path) -> None:
    file = tmp_path / "recipe.yaml"
    file.write_text(RECIPE)
    here, there = plan_recipe(file), plan_recipe(file, ["executor.ray.cpus=2"])
    assert there.executor == RayExecutor(cpus=2)
    assert resolved_yaml(here.recipe) == resolved_yaml(there.recipe)


def test_a_node_says_what_it_has_and_what_it_lacks(tmp_path: Path) -> None:
    dead, young = (tmp_path / f"{PREFIX}{name}" for name in ("dead", "young"))
    for left in (dead, young):
        left.mkdir()
    os.utime(dead, (0, 0))
    job = tmp_path / "job.json"
    recipe = RECIPE.replace("tiny-reasoner", "/only/at/home")
    job.write_text(json.dumps({"what": "probe", "recipe": recipe}))
    process = subprocess.Popen(  # noqa: S603 - our own module
        [sys.executable, "-P", "-m", "ablate_ray.node", str(job)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    with process:
        assert process.stdout
        said = process.stdout.read()
        assert process.wait(timeout=60) == 0  # before its input is closed
    probe = Probe(**json.loads(said)["probe"])
    assert list(probe.problems) == ["model '/only/at/home': /only/at/home does not exist"]
    assert probe.environment["cpu"]
    assert "ablate-inference" in probe.distributions
    assert list(tmp_path.glob(f"{PREFIX}*")) == [young], "and what killed jobs left is gone"


def test_amdsmi_without_its_library_is_named_before_ray_fails_on_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ray")
    (tmp_path / "amdsmi.py").write_text('raise KeyError("libamd_smi.so")')
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "amdsmi", raising=False)
    (tmp_path / "small.yaml").write_text(RECIPE)
    plan = make_plan(load_recipe(tmp_path / "small.yaml"))
    with (
        pytest.raises(AblateError, match="pip uninstall amdsmi"),
        RayExecutor().open(plan, (), print),
    ):
        pass
