"""Energy of a trial: a fake meter, and Zeus on a fake machine's counters where it is installed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from multiprocessing import active_children
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ablate.planning import make_plan
from ablate.recipe import parse
from ablate.running import energy, trial
from ablate.running.energy import Meter, NoMeter, Patient, ZeusMeter
from ablate.store import TrialDir
from ablate.testing import tiny_model


class Monitor:
    """Counts joules as a ``ZeusMonitor`` would: each window takes as many as it is told."""

    def __init__(self, *windows: Mapping[str, Any]) -> None:
        nothing: dict[str, Any] = {"gpu_energy": {}, "cpu_energy": None, "dram_energy": None}
        self._windows = iter([nothing, *({**nothing, **w} for w in windows)])
        self.open = 0

    def begin_window(self, key: str, sync_execution: bool) -> None:
        self.open += 1

    def end_window(self, key: str, sync_execution: bool) -> SimpleNamespace:
        self.open -= 1
        return SimpleNamespace(**next(self._windows))


def test_joules_by_what_took_them() -> None:
    monitor = Monitor({"gpu_energy": {0: 7.0}, "cpu_energy": {0: 2.0}, "dram_energy": {0: 1.0}})
    meter = ZeusMeter(monitor)
    meter.begin()
    assert meter.end() == {"gpu0": 7.0, "cpu0": 2.0, "dram0": 1.0}
    assert monitor.open == 0


@pytest.mark.parametrize("window", [{}, {"gpu_energy": {0: 0.0}, "cpu_energy": {0: 1.0}}])
def test_what_did_not_move_was_not_read(window: Mapping[str, Any]) -> None:
    meter = ZeusMeter(Monitor(window))
    meter.begin()
    assert meter.end() == {}


def test_a_driver_that_fails_costs_the_energy_and_not_the_trial() -> None:
    meter = Patient(ZeusMeter(Monitor()))
    meter.begin()
    assert meter.end() == {}
    assert meter.note.startswith("Energy could not be read: StopIteration")
    meter.begin()
    assert meter.end() == {}


class Fixed(NoMeter):
    def end(self) -> Mapping[str, float]:
        return {"cpu0": 5.0}


def test_a_trial_keeps_what_its_meter_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def meter() -> Iterator[Meter]:
        yield Fixed("half of it may not be read")

    monkeypatch.setattr(trial, "open_meter", meter)
    tree = {
        "name": "test",
        "model": str(tiny_model(tmp_path / "model")),
        "domains": {"arithmetic": {"limit": 2}},
        "sampling": {"max_tokens": 4},
        "workload": {"arrival": "batch", "concurrency": 2},
        "warmup": 0,
    }
    recipe, problems = parse(tree, tmp_path)
    assert recipe is not None, problems
    arm = make_plan(recipe).arms[0]
    files = TrialDir(tmp_path / "trial")
    files.path.mkdir()
    result = trial.run_trial(arm, 0, files, lambda _: None)
    assert result.status == "ok", result.message
    assert result.energy == {"cpu0": 5.0}
    assert result.info["energy"] == "half of it may not be read"
    assert files.result() == result


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A machine with one package's RAPL counter."""
    rapl = pytest.importorskip("zeus.device.cpu.rapl")
    cpu = pytest.importorskip("zeus.device.cpu")
    package = tmp_path / "intel-rapl:0"
    package.mkdir()
    for name, text in {"name": "package-0", "energy_uj": "0", "max_energy_range_uj": "9e9"}.items():
        (package / name).write_text(text)
    monkeypatch.setattr(rapl, "RAPL_DIR", str(tmp_path))
    monkeypatch.setattr(cpu, "_cpus", None)
    rapl.rapl_is_available.cache_clear()
    yield package / "energy_uj"
    rapl.rapl_is_available.cache_clear()


@pytest.mark.extra
def test_zeus_reads_a_counter_and_leaves_no_process(machine: Path) -> None:
    with energy.open_meter() as meter:
        machine.write_text("1000000")
        meter.begin()
        machine.write_text("43000000")
        assert meter.end() == {"cpu0": pytest.approx(42)}
        assert meter.note == ""
    assert active_children() == []


@pytest.mark.extra
def test_counters_that_may_not_be_read_are_said(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rapl = pytest.importorskip("zeus.device.cpu.rapl")
    common = pytest.importorskip("zeus.device.cpu.common")

    def refuse(*_: object) -> None:
        raise common.ZeusCPUNoPermissionError("root only")

    monkeypatch.setattr(rapl.RAPLFile, "__init__", refuse)
    with energy.open_meter() as meter:
        meter.begin()
        assert meter.end() == {}
        assert "may not be read" in meter.note
