"""Whole runs on a real cluster of this machine: a head without CPUs and two workers of one each."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from ablate.cli import main
from ablate.store import RunDir
from ablate.types import Trial

pytestmark = [pytest.mark.extra, pytest.mark.slow]

pytest.importorskip("ray")

RECIPE = """
name: small
model: {id: tiny-reasoner, dtype: float32}
domains: {arithmetic: {limit: 3}, logic: {limit: 3}}
sampling: {max_tokens: 32}
workload: {arrival: batch, concurrency: 3}
factors: {decode: [ngram]}
floor: false
blocks: 2
warmup: 1
"""
LONG = ["domains={arithmetic: {limit: 40}}", "workload.concurrency=1", "sampling.max_tokens=256"]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    from ray.cluster_utils import Cluster

    head = {"num_cpus": 0, "include_dashboard": False}
    made = Cluster(initialize_head=True, head_node_args=head)
    made.workers = [made.add_node(num_cpus=1) for _ in range(2)]
    yield made
    made.shutdown()


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    file = tmp_path / "recipe.yaml"
    file.write_text(RECIPE)
    return file


def ablate(cluster: Any, *args: object) -> subprocess.Popen[str]:
    """``ablate run`` in a process of its own, as Ray is one for a process."""
    return subprocess.Popen(  # noqa: S603 - our own interpreter and module
        [
            *(sys.executable, "-m", "ablate", "run"),
            *(*map(str, args), f"executor.ray.address={cluster.address}"),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # a shell that starts the tests in the background has it ignored
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


def finish(process: subprocess.Popen[str]) -> tuple[int, str]:
    with process:
        try:
            _, said = process.communicate(timeout=200)
        finally:
            process.kill()
    return process.returncode, said


def trials(out: Path) -> dict[tuple[str, int], Trial]:
    run = RunDir(out)
    return {(t.result.arm, t.result.block): t for t in run.trials(run.info())}


def answers(trial: Trial) -> dict[str, tuple[str, str]]:
    return {r.completion.request_id: (r.completion.text, r.outcome) for r in trial.records}


def until(happens: Callable[[], bool], seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while not happens():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def on_nodes() -> list[psutil.Process]:
    """Trials' processes that nodes have started for us."""
    ours = [sys.executable, "-P", "-m", "ablate_ray.node"]
    found = psutil.process_iter(["cmdline"])
    return [p for p in found if (p.info["cmdline"] or [])[:4] == ours]


def test_a_run_is_spread_and_gives_the_same_answers_and_resumes(
    cluster: Any, recipe: Path, tmp_path: Path
) -> None:
    out, home = tmp_path / "out", tmp_path / "home"
    code, said = finish(ablate(cluster, recipe, "--output-dir", out))
    assert code == 0, said
    assert said.splitlines()[0] == f"4 trials into {out}", "and nothing of Ray's"
    assert len(said.splitlines()) == 5
    ran = trials(out)
    assert {t.result.status for t in ran.values()} == {"ok"}
    assert len({t.result.info["node_id"] for t in ran.values()}) == 2
    assert all({"node", "node_cpu", "node_cores"} <= t.result.info.keys() for t in ran.values())
    assert all(t.usage for t in ran.values())
    assert main(["run", str(recipe), "--output-dir", str(home)]) == 0
    assert {k: answers(t) for k, t in ran.items()} == {
        k: answers(t) for k, t in trials(home).items()
    }

    cut = RunDir(out).trial("ngram", 1)
    times = {k: RunDir(out).trial(*k).path.joinpath("result.json").stat().st_mtime_ns for k in ran}
    (cut.path / "result.json").unlink()
    kept = (cut.path / "records.jsonl").read_text().splitlines(keepends=True)[:2]
    (cut.path / "records.jsonl").write_text("".join(kept) + '{"torn')
    code, said = finish(ablate(cluster, recipe, "--output-dir", out, "--resume"))
    assert code == 0, said
    assert said.startswith("1 trials into")
    again = trials(out)
    assert again["ngram", 1].result.resumed
    assert answers(again["ngram", 1]) == answers(ran["ngram", 1])
    assert (cut.path / "records.jsonl").read_text().startswith("".join(kept))
    for place in set(ran) - {("ngram", 1)}:
        file = RunDir(out).trial(*place).path / "result.json"
        assert file.stat().st_mtime_ns == times[place]

    (cut.path / "result.json").unlink()
    assert main(["run", str(recipe), "--output-dir", str(out), "--resume"]) == 0, "and at home"
    assert "node" not in trials(out)["ngram", 1].result.info


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("executor.ray.gpus=8", "no node of the Ray cluster can hold a trial"),
        ("executor.ray.cpus=64", "which takes 64 CPUs and 0 GPUs"),
    ],
)
def test_what_the_cluster_cannot_hold_is_refused(
    cluster: Any, recipe: Path, tmp_path: Path, override: str, message: str
) -> None:
    out = tmp_path / "out"
    code, said = finish(ablate(cluster, recipe, override, "--output-dir", out))
    assert code == 2
    assert message in said
    assert "Traceback" not in said
    assert not out.exists()


def test_without_a_cluster(
    recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    args = [str(recipe), "executor.ray.address=127.0.0.1:1", "--output-dir", str(tmp_path / "out")]
    assert main(["run", *args]) == 2
    assert "ray start --head" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_an_interrupt_leaves_nothing_running(cluster: Any, recipe: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    process = ablate(cluster, recipe, *LONG, "--output-dir", out)
    until(lambda: len(list(out.glob("trials/*/*/records.jsonl"))) == 4 and len(on_nodes()) == 2)
    until(lambda: any(f.stat().st_size for f in out.glob("trials/*/*/records.jsonl")))
    children = [c for p in on_nodes() for c in [p, *p.children(recursive=True)]]
    process.send_signal(signal.SIGINT)
    code, said = finish(process)
    assert code == 130, said
    assert "--resume" in said
    assert not psutil.wait_procs(children, timeout=20)[1]
    assert not on_nodes()


def test_the_loss_of_a_node_is_its_trials_failure(
    cluster: Any, recipe: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    args = [recipe, *LONG, "blocks=1", "--output-dir", out]
    process = ablate(cluster, *args)
    files = [RunDir(out).trial(arm, 0).path / "records.jsonl" for arm in ("baseline", "ngram")]
    until(lambda: all(f.exists() and f.stat().st_size for f in files))
    cluster.remove_node(cluster.workers.pop(), allow_graceful=False)
    code, said = finish(process)
    assert code == 1, said
    ran = trials(out)
    assert sorted(t.result.status for t in ran.values()) == ["failed", "ok"]
    lost = next(place for place, t in ran.items() if t.result.status == "failed")
    assert ran[lost].result.kind == "killed"
    assert "lost" in (ran[lost].result.message or "")
    assert ran[lost].records, "what it had finished is kept"
    code, said = finish(ablate(cluster, *args, "--resume"))
    assert code == 0, said
    assert set(answers(ran[lost]).items()) <= set(answers(trials(out)[lost]).items())
