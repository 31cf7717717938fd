"""Whole runs in processes of their own, with a random model: failures stay where they happen."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from ablate.store import RunDir
from ablate.testing import tiny_model

FAULTY = Path(__file__).parent / "third_party" / "faulty"
FAULTS = {
    "crash": "crash",
    "killed": "killed",
    "hungry": "out_of_memory",
    "raises": "error",
    "forgets_return": "error",
    "no_effect": "evidence",
    "no_evidence": "evidence",
}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def third_party(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The faulty distribution, really built and installed, beside the environment."""
    target = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "--target", str(target), str(FAULTY)], check=True)
    return target


def recipe(folder: Path, model: Path, **keys: object) -> Path:
    base: dict[str, object] = {
        "name": "test",
        "model": str(model),
        "domains": {"arithmetic": {"limit": 3}, "logic": {"limit": 3}},
        "sampling": {"max_tokens": 8},
        "workload": {"arrival": "batch", "concurrency": 4},
        "blocks": 1,
        "warmup": 1,
        "floor": False,
    }
    file = folder / "recipe.yaml"
    file.write_text(json.dumps({**base, **keys}))
    return file


def command(*args: object) -> list[str]:
    return [sys.executable, "-m", "ablate", *map(str, args)]


def ablate(*args: object, site: Path | None = None) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHONPATH": str(site)} if site else None
    return subprocess.run(command(*args), capture_output=True, text=True, env=env, timeout=300)


def test_a_run_writes_everything(tmp_path: Path, checkpoint: Path) -> None:
    file = recipe(tmp_path, checkpoint, factors={"decode": [{"ngram": {"min_n": 1}}]}, floor=True)
    out = tmp_path / "run"
    done = ablate("run", file, "blocks=2", "--output-dir", out)
    assert done.returncode == 0, done.stderr
    run = RunDir(out)
    info = run.info()
    trials = run.trials(info)
    assert len(trials) == 2 * len(info.arms) == 6
    assert all(t.result.status == "ok" and len(t.records) == 6 for t in trials)
    assert all(t.usage and t.usage[-1].kv_tokens == 0 for t in trials)
    assert (out / "report.md").read_text().startswith("#")
    assert json.loads((out / "results.json").read_text())
    again = ablate("report", out)
    assert again.returncode == 0, again.stderr


def test_one_arms_failure_is_its_own(tmp_path: Path, checkpoint: Path, third_party: Path) -> None:
    levels: list[dict[str, object]] = [{name: {}} for name in FAULTS]
    file = recipe(
        tmp_path,
        checkpoint,
        factors={"faults": levels, "fine": [{"harmless": {}}]},
        design="one-at-a-time",
    )
    out = tmp_path / "run"
    done = ablate("run", file, "--output-dir", out, site=third_party)
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    run = RunDir(out)
    results = {t.result.arm: t.result for t in run.trials(run.info())}
    assert {a: r.kind for a, r in results.items() if r.status == "failed"} == FAULTS
    assert results["baseline"].status == results["harmless"].status == "ok"
    assert "the plugin's own mistake" in (results["raises"].message or "")
    assert "forgets_return" in (results["forgets_return"].message or "")


def test_a_hang_is_cut_off(tmp_path: Path, checkpoint: Path, third_party: Path) -> None:
    file = recipe(tmp_path, checkpoint, factors={"faults": [{"hang": {}}]})
    out = tmp_path / "run"
    done = ablate("run", file, "timeout=15s", "--output-dir", out, site=third_party)
    assert done.returncode == 1, done.stderr
    kinds = {t.result.arm: t.result.kind for t in RunDir(out).trials(RunDir(out).info())}
    assert kinds == {"baseline": None, "hang": "timeout"}


@pytest.mark.parametrize("name", ["typo", "missing_import"])
def test_a_broken_plugin_is_refused_before_anything_runs(
    tmp_path: Path, checkpoint: Path, third_party: Path, name: str
) -> None:
    file = recipe(tmp_path, checkpoint, factors={"faults": [{name: {}}]})
    done = ablate("run", file, "--output-dir", tmp_path / "run", site=third_party)
    assert done.returncode == 2
    reason = {"typo": "ablate_setup_cahce", "missing_import": "a_package_that_is_not_there"}[name]
    assert name in done.stderr
    assert reason in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "run").exists()


def test_resume_runs_only_what_is_missing(tmp_path: Path, checkpoint: Path) -> None:
    file = recipe(tmp_path, checkpoint, factors={"decode": [{"ngram": {"min_n": 1}}]})
    out = tmp_path / "run"
    assert ablate("run", file, "--output-dir", out).returncode == 0
    run = RunDir(out)
    kept, cut = run.trial("baseline", 0), run.trial("ngram", 0)
    untouched = (kept.path / "result.json").stat().st_mtime_ns
    before = {r.completion.request_id: r for r in cut.records()}
    (cut.path / "result.json").unlink()
    lines = (cut.path / "records.jsonl").read_text().splitlines(keepends=True)
    (cut.path / "records.jsonl").write_text("".join(lines[:4]) + lines[4][:20])
    assert ablate("run", file, "--output-dir", out).returncode == 2, "not without --resume"
    done = ablate("run", file, "--output-dir", out, "--resume")
    assert done.returncode == 0, done.stderr
    assert (kept.path / "result.json").stat().st_mtime_ns == untouched
    result = cut.result()
    assert result is not None
    assert (result.status, result.resumed) == ("ok", True)
    after = {r.completion.request_id: r for r in cut.records()}
    assert len(cut.records()) == len(after) == len(before)
    assert {i: r.completion.text for i, r in after.items()} == {
        i: r.completion.text for i, r in before.items()
    }


def test_what_was_served_is_graded_on_resuming_and_not_served_again(
    tmp_path: Path, checkpoint: Path
) -> None:
    rows = [{"problem": f"{n} + 1?", "answer": f"{n + 1}"} for n in range(6)]
    (tmp_path / "sums.jsonl").write_text("\n".join(map(json.dumps, rows)))
    domains = {"jsonl": {"path": "sums.jsonl", "grader": "symbolic"}}
    file = recipe(tmp_path, checkpoint, domains=domains)
    out = tmp_path / "run"
    done = ablate("run", file, "--output-dir", out)
    assert done.returncode == 0, done.stderr
    trial = RunDir(out).trial("baseline", 0)
    before = {r.completion.request_id: r for r in trial.records()}
    assert len(before) == 6
    assert not trial.ungraded()
    (trial.path / "result.json").unlink()
    lines = (trial.path / "records.jsonl").read_text().splitlines(keepends=True)
    (trial.path / "records.jsonl").write_text("".join(lines[:2]))  # killed while grading
    assert len(trial.ungraded()) == 4
    done = ablate("run", file, "--output-dir", out, "--resume")
    assert done.returncode == 0, done.stderr
    assert {r.completion.request_id: r for r in trial.records()} == before  # times and all


def test_resume_refuses_another_recipe(tmp_path: Path, checkpoint: Path) -> None:
    file = recipe(tmp_path, checkpoint)
    out = tmp_path / "run"
    assert ablate("run", file, "--output-dir", out).returncode == 0
    done = ablate("run", file, "sampling.max_tokens=9", "--output-dir", out, "--resume")
    assert done.returncode == 2
    assert "another recipe" in done.stderr


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGKILL])
def test_nothing_outlives_ablate(
    tmp_path: Path, checkpoint: Path, third_party: Path, sign: signal.Signals
) -> None:
    file = recipe(tmp_path, checkpoint, factors={"faults": [{"hang": {}}]})
    out = tmp_path / "run"
    process = subprocess.Popen(
        command("run", file, "--output-dir", out),
        env={**os.environ, "PYTHONPATH": str(third_party)},
        stderr=subprocess.PIPE,
        start_new_session=True,
        # a shell that starts the tests in the background has it ignored
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    with process:
        try:
            children = _children_once_hanging(process.pid, out)
            process.send_signal(sign)
            process.wait(timeout=30)
        finally:
            process.kill()
    _, alive = psutil.wait_procs(children, timeout=20)
    assert not alive
    if sign == signal.SIGINT:
        assert process.returncode == 130
    done = RunDir(out).trial("baseline", 0).result()
    assert done is not None
    assert done.status == "ok"


def _children_once_hanging(pid: int, out: Path) -> list[psutil.Process]:
    deadline = time.monotonic() + 60
    log = RunDir(out).trial("hang", 0).log
    while time.monotonic() < deadline and not log.exists():
        time.sleep(0.1)
    time.sleep(1.0)
    children = psutil.Process(pid).children(recursive=True)
    assert len(children) >= 2
    return children
