"""The models' table: read from a run directory, number by number."""

from __future__ import annotations

from pathlib import Path

import pytest

from ablate.store import LineWriter, RunDir
from ablate.types import ArmInfo, Completion, Outcome, Record, RunInfo, TrialResult
from training.showcase import correlation, halves, showcase, within


def record(difficulty: float, tokens: int, right: bool) -> Record:
    times = tuple(0.1 * n for n in range(tokens))
    done = Completion(
        request_id=f"{difficulty}",
        text="",
        prompt_tokens=3,
        output_tokens=tokens,
        thinking_tokens=0,
        arrival=0.0,
        dispatched=0.0,
        finished=1.0,
        token_times=times,
        first_visible=None,
        finish_reason="stop",
    )
    outcome: Outcome = "correct" if right else "wrong"
    return Record(done, "sorting", f"p{difficulty}", 0, difficulty, outcome, None, "")


# Difficulties 1 to 4; the hardest is wrong.
RECORDS = [record(level, 10 * level, level < 4) for level in (3, 1, 4, 2)]


def test_halves_split_the_range_of_difficulties() -> None:
    easy, hard = halves(RECORDS)
    assert sorted(r.difficulty or 0 for r in easy) == [1, 2]
    assert sorted(r.difficulty or 0 for r in hard) == [3, 4]


def test_a_budget_counts_right_answers_that_fit() -> None:
    assert [within(RECORDS, budget) for budget in (5, 10, 25, 100)] == [0, 25, 50, 75]


def test_correlation_is_by_rank_and_none_where_lengths_are_equal() -> None:
    assert correlation(RECORDS) == pytest.approx(1.0)
    assert correlation([record(level, 5, True) for level in (1, 2, 3)]) == 0.0


def test_the_table_of_a_run(tmp_path: Path) -> None:
    run = RunDir(tmp_path)
    arm = ArmInfo("draft", {"decode": "draft"}, {})
    run.write_info(RunInfo("r", "now", "0", "m", "local", ("sorting",), (arm,), 1, 4))
    trial = run.trial("draft", 0)
    trial.path.mkdir(parents=True)
    writer = LineWriter(trial.path / "records.jsonl")
    for one in RECORDS:
        writer.write(one)
    writer.close()
    counters = {"spec_num_drafts": 10.0, "spec_num_accepted_tokens": 25.0}
    trial.write_result(TrialResult("draft", 0, "ok", counters=counters))
    *_, row, accepted = showcase(run).split("\n")
    expected = "| draft | sorting | 100.0 of 2 | 50.0 of 2 | 25 | 1.00 | 75 | 75 | 75 | 75 | 0 |"
    assert row == expected
    assert accepted == "mean acceptance length of draft: 3.50"
