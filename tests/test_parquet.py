"""results.parquet: one row a request, with the metrics' own numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from ablate.metrics import latencies
from ablate.report import parquet, write_report
from ablate.store import RunDir
from tests.test_report import ARMS, failed, finished, info, stored


@pytest.fixture
def run_dir(tmp_path: Path) -> RunDir:
    return stored(tmp_path, info(ARMS), [*finished()[:-1], failed("awq", 2, kept=7)])


def test_every_record_is_a_row_and_says_what_its_trial_was(run_dir: RunDir) -> None:
    write_report(run_dir)
    table = pq.read_table(run_dir.path / "results.parquet")
    assert table.column_names == [*parquet.COLUMNS, "factor.weights"]
    rows = table.to_pylist()
    assert len(rows) == 8 * 80 + 7
    assert sum(row["status"] == "failed" for row in rows) == 7
    assert {(r["arm"], r["factor.weights"]) for r in rows} == {
        ("baseline", "off"),
        ("baseline-again", "off"),
        ("awq", "awq"),
    }
    assert {r["outcome"] for r in rows} == {"correct", "wrong"}
    assert all(r["text"] == "<think>1</think>2" for r in rows)


def test_latencies_are_those_of_the_metrics(run_dir: RunDir) -> None:
    write_report(run_dir)
    table = pq.read_table(run_dir.path / "results.parquet")
    (trial,) = [t for t in finished() if (t.result.arm, t.result.block) == ("awq", 1)]
    mine = [row for row in table.to_pylist() if (row["arm"], row["block"]) == ("awq", 1)]
    for name, expected in latencies(trial.records).items():
        if name != "itl":
            assert np.array([row[name] for row in mine]) == pytest.approx(expected)


def test_without_pyarrow_no_older_file_stays(
    run_dir: RunDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_report(run_dir)
    monkeypatch.setattr(parquet, "available", lambda: False)
    write_report(run_dir)
    assert not (run_dir.path / "results.parquet").exists()
    assert (run_dir.path / "results.json").exists()


def test_every_column_is_described_in_the_file(run_dir: RunDir) -> None:
    write_report(run_dir)
    schema = pq.read_schema(run_dir.path / "results.parquet")
    for name, column in parquet.COLUMNS.items():
        assert schema.field(name).metadata[b"doc"].decode() == column.doc
