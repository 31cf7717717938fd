"""The report from run directories: finished, failed, unfinished and empty ones."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from rich.console import Console

from ablate.errors import AblateError
from ablate.report import print_report, write_report
from ablate.report.behaviours.sheets import behaviour_sheets
from ablate.report.markdown import table, to_markdown
from ablate.report.reference import reference
from ablate.report.results import build_results
from ablate.report.sheets import sheets
from ablate.report.table import split
from ablate.report.words import MINUS, change, digits, points, quantity
from ablate.report.words import TIMES as X
from ablate.store import LineWriter, RunDir
from ablate.types import (
    ArmInfo,
    Completion,
    Evidence,
    Outcome,
    Record,
    RunInfo,
    Trial,
    TrialResult,
    Usage,
)

ROOT = Path(__file__).parents[1]
SCHEMA = json.loads((ROOT / "ablate/report/results.schema.json").read_text(encoding="utf-8"))
DOMAINS = ("arithmetic", "logic")
PROBLEMS = 40


def arm(name: str, replicate: int = 0, **plugins: Any) -> ArmInfo:
    levels = {"weights": "awq" if "awq" in plugins else "off"}
    return ArmInfo(name, levels, plugins, replicate=replicate)


ARMS = (arm("baseline"), arm("baseline-again", replicate=1), arm("awq", awq={"bits": 4}))


def info(arms: Sequence[ArmInfo] = ARMS, blocks: int = 3) -> RunInfo:
    return RunInfo(
        name="awq|spec",
        created="2026-01-02T03:04:05",
        ablate_version="0.1.0",
        model="tiny-reasoner",
        engine="local",
        domains=DOMAINS,
        arms=tuple(arms),
        blocks=blocks,
        requests_per_trial=2 * PROBLEMS,
        margins={"accuracy": 0.02},
        environment={"cpu": "a | b", "packages": {"numpy": "2"}, "odd": float("nan")},
    )


def record(domain: str, number: int, outcome: Outcome, speed: float) -> Record:
    done = Completion(
        request_id=f"{domain}/{number}",
        text="<think>1</think>2",
        prompt_tokens=5,
        output_tokens=4,
        thinking_tokens=2,
        arrival=0.0,
        dispatched=0.0,
        finished=0.4 / speed,
        token_times=(0.1 / speed, 0.2 / speed, 0.3 / speed, 0.4 / speed),
        first_visible=0.3 / speed,
        finish_reason="stop",
    )
    return Record(done, domain, str(number), 0, None, outcome, "2", "2")


def trial(
    name: str, block: int, speed: float = 1.0, wrong: Iterable[int] = (), **more: Any
) -> Trial:
    missed = set(wrong)
    records = tuple(
        record(domain, i, "wrong" if domain == "logic" and i in missed else "correct", speed)
        for domain in DOMAINS
        for i in range(PROBLEMS)
    )
    fields: dict[str, Any] = {
        "arm": name,
        "block": block,
        "status": "ok",
        "running_time": 2.0 / speed,
        "weight_bytes": 1_000_000,
        "peak_rss_bytes": 10**8,
        "cpu_seconds": 1.9 / speed,
        "evidence": (Evidence("awq", True, "24 of 24 layers", {"layers": 24.0}),)
        if name == "awq"
        else (),
    }
    usage = tuple(Usage(float(t), 3, 1, 50, 500, 800, 1000) for t in range(3))
    return Trial(TrialResult(**fields | more), records, usage)


def failed(name: str, block: int, kind: str = "timeout", kept: int = 0) -> Trial:
    good = trial(name, block)
    result = TrialResult(name, block, "failed", kind=kind, message="no answer\nfor 60 s")
    return Trial(result, good.records[:kept], ())


def finished() -> list[Trial]:
    jitter = np.random.default_rng(0).normal(1, 0.01, 9)
    return [
        *(trial("baseline", b, jitter[b], wrong=[0, 1]) for b in range(3)),
        *(trial("baseline-again", b, jitter[3 + b], wrong=[0, 2]) for b in range(3)),
        *(
            trial("awq", b, 2 * jitter[6 + b], wrong=range(20), weight_bytes=300_000)
            for b in range(3)
        ),
    ]


def stored(path: Path, run: RunInfo, trials: Iterable[Trial]) -> RunDir:
    run_dir = RunDir(path)
    run_dir.write_info(replace(run, environment={"cpu": "a | b"}))
    for one in trials:
        place = run_dir.trial(one.result.arm, one.result.block)
        place.path.mkdir(parents=True)
        for name, values in (("records", one.records), ("usage", one.usage)):
            writer = LineWriter(place.path / f"{name}.jsonl")
            for value in values:
                writer.write(value)
            writer.close()
        place.write_result(one.result)
    return run_dir


def printed(results: dict[str, Any], width: int) -> str:
    out = io.StringIO()
    print_report(results, Console(file=out, width=width, color_system=None))
    return out.getvalue()


def arm_of(results: dict[str, Any], name: str) -> dict[str, Any]:
    return next(a for a in results["arms"] if a["id"] == name)


@pytest.fixture(scope="module")
def results() -> dict[str, Any]:
    return build_results(info(), finished())


def test_contrasts_hold_the_planted_effects(results: dict[str, Any]) -> None:
    (found,) = results["contrasts"]
    logic = found["accuracy"]["domains"]["logic"]
    assert (logic["worse"], logic["better"], logic["n"]) == (18, 0, PROBLEMS)
    assert logic["value"] == pytest.approx(-18 / 40)
    assert logic["low"] < -18 / 40 < logic["high"] < 0
    assert logic["p_value"] == pytest.approx(2 * 0.5**18)
    assert found["accuracy"]["overall"]["n"] == 2 * PROBLEMS
    assert found["ratios"]["output_throughput"]["value"] == pytest.approx(2, rel=0.03)
    assert found["ratios"]["mean_ttft_ms"]["value"] == pytest.approx(0.5, rel=0.03)
    assert found["ratios"]["weight_bytes"]["value"] == pytest.approx(0.3)


def test_noise_floor_is_the_change_of_the_repeat(results: dict[str, Any]) -> None:
    floor = results["noise_floor"]
    assert floor["arms"] == ["baseline-again"]
    assert 1 < floor["ratios"]["running_time"] < 1.05
    assert floor["accuracy"]["domains"]["logic"] == 0  # one problem lost, another won
    assert [c["arm"] for c in floor["contrasts"]] == ["baseline-again"]


def test_several_answers_a_problem_are_shown() -> None:
    def four(one: Trial) -> Trial:
        """Three of four answers as they are, and one that is wrong; half of the problems."""
        answers = [
            replace(r, sample=s, outcome="wrong" if s == 3 else r.outcome, parsed=f"{s == 3}")
            for r in one.records
            for s in range(4)
        ]
        return replace(one, records=tuple(answers))

    made = [four(trial("baseline", b, wrong=range(20))) for b in range(2)]
    found = build_results(info(ARMS[:1], blocks=2), made)
    sheet = next(s for s in sheets(found) if s.title == "Several answers a problem")
    ((name, (arithmetic, logic)),) = sheet.rows
    assert name == "baseline"
    assert arithmetic.lines == ("pass@4 100.0 %", "majority@4 100.0 %")
    assert logic.lines == ("pass@4 50.0 %", "majority@4 50.0 %")
    assert not any(s.title.startswith("Several") for s in sheets(build_results(info(), finished())))


def test_the_floor_is_a_mean_over_blocks_as_effects_are() -> None:
    """Else it would grow with the number of blocks, and nothing would ever be beyond it."""
    swings = (1.2, 1 / 1.2, 1.2, 1 / 1.2)
    trials = [
        *(trial("baseline", b) for b in range(4)),
        *(trial("baseline-again", b, swing) for b, swing in enumerate(swings)),
        *(trial("awq", b, 1.05 + b / 1000) for b in range(4)),
    ]
    found = build_results(info(blocks=4), trials)
    assert found["noise_floor"]["ratios"]["output_throughput"] == pytest.approx(1)
    assert found["a_a"]["ratios"]["output_throughput"]["largest"] == pytest.approx(1.2)
    assert not found["contrasts"][0]["ratios"]["output_throughput"]["within_noise"]


def test_effect_within_the_floor_is_marked_noise() -> None:
    trials = [
        *(trial("baseline", b) for b in range(3)),
        *(trial("baseline-again", b, 1.10) for b in range(3)),
        *(trial("awq", b, 1.05 + b / 1000) for b in range(3)),
    ]
    found = build_results(info(), trials)
    speed = found["contrasts"][0]["ratios"]["output_throughput"]
    assert speed["low"] > 1
    assert speed["within_noise"]
    cell = next(s for s in sheets(found) if s.title.startswith("Speed")).rows[-1][1][0]
    assert cell.mood == "noise"
    assert cell.lines[-1] == "≈ noise"


def test_the_floor_itself_gets_no_verdict() -> None:
    trials = [t for b in range(3) for t in (trial("baseline", b), trial("baseline-again", b, 1.1))]
    found = build_results(info(ARMS[:2]), trials)
    again = found["noise_floor"]["contrasts"][0]["ratios"]["output_throughput"]
    assert again["low"] > 1
    assert {c.mood for s in sheets(found) for name, row in s.rows for c in row} == {"plain"}


def test_results_are_strict_json(results: dict[str, Any]) -> None:
    text = json.dumps(results, allow_nan=False)
    assert json.loads(text) == results
    assert results["environment"]["odd"] is None


def test_results_are_as_the_schema_says(results: dict[str, Any]) -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.validate(results, SCHEMA)


def test_accuracy_rests_on_problems_not_on_repetitions(results: dict[str, Any]) -> None:
    own = arm_of(results, "baseline")["accuracy"]["domains"]["logic"]
    assert own["n"] == PROBLEMS
    assert own["value"] == pytest.approx(0.95)
    assert own["low"] < 0.95 < own["high"]
    assert sheets(results)[0].aid.startswith("Problems: arithmetic 40, logic 40. First line:")


def test_failed_trials_are_shown_and_not_counted() -> None:
    trials = [*finished()[:6], *(failed("awq", b, kept=10 * b) for b in range(3))]
    found = build_results(info(), trials)
    assert arm_of(found, "awq")["status"] == "failed"
    assert arm_of(found, "awq")["summary"] == {}
    assert found["contrasts"][0]["accuracy"]["overall"]["value"] is None
    assert [f["records"] for f in found["failures"]] == [0, 10, 20]
    assert (
        "awq, block 1: failed; its 10 finished answers are kept but not counted." in found["notes"]
    )
    text = printed(found, 100)
    assert "- awq, block 0, 1, 2: timeout: no answer for 60 s" in text
    assert "## Failed trials" in to_markdown(found)


def test_partly_failed_arm_is_compared_on_the_blocks_it_shares() -> None:
    trials = [t for t in finished() if (t.result.arm, t.result.block) != ("awq", 1)]
    found = build_results(info(), [*trials, failed("awq", 1)])
    assert arm_of(found, "awq")["status"] == "partly failed"
    assert found["contrasts"][0]["blocks"] == {"arm": [0, 2], "baseline": [0, 2]}
    assert found["contrasts"][0]["ratios"]["running_time"]["n"] == 2
    assert "awq (partly failed)" in to_markdown(found)


def test_arms_that_share_no_block_give_accuracy_and_no_speed() -> None:
    found = build_results(info(), [trial("baseline", 0), trial("awq", 1)])
    assert found["contrasts"][0]["accuracy"]["overall"]["value"] == 0
    assert found["contrasts"][0]["ratios"]["running_time"]["value"] is None
    assert any("shares no finished block" in note for note in found["notes"])


def test_resumed_trial_counts_for_accuracy_only() -> None:
    trials = [replace_result(t, resumed=t.result.arm == "awq") for t in finished()]
    found = build_results(info(), trials)
    contrast = found["contrasts"][0]
    assert contrast["accuracy"]["overall"]["n"] == 2 * PROBLEMS
    assert contrast["ratios"]["output_throughput"]["n"] == 0
    assert contrast["ratios"]["weight_bytes"]["n"] == 3
    assert any("awq, block 2: resumed" in note for note in found["notes"])


def replace_result(one: Trial, **changes: Any) -> Trial:
    return replace(one, result=replace(one.result, **changes))


def test_disturbed_trial_is_noted() -> None:
    trials = finished()
    trials[0] = replace_result(trials[0], cpu_seconds=0.5)
    notes = build_results(info(), trials)["notes"]
    assert [n for n in notes if "CPU" in n] == [
        n for n in notes if n.startswith("baseline, block 0: its share of CPU time fell")
    ]
    assert len(notes) == 1
    idle = [
        replace_result(t, cpu_seconds=0.3) if t.result.arm == "awq" else t for t in finished()
    ]  # it needs less of the machine, in every block
    assert build_results(info(), idle)["notes"] == []


def test_missing_problems_are_reported() -> None:
    trials = finished()
    trials = [replace(t, records=t.records[:-5]) if t.result.arm == "awq" else t for t in trials]
    found = build_results(info(), trials)
    logic = found["contrasts"][0]["accuracy"]["domains"]["logic"]
    assert (logic["n"], logic["missing_in_arm"], logic["missing_in_baseline"]) == (35, 5, 0)
    assert any("5 problems have answers that only the baseline gave" in n for n in found["notes"])
    assert "awq, block 0: 75 answers instead of 80." in found["notes"]


def test_hidden_answers_are_noted() -> None:
    trials = finished()
    first, *rest = trials[0].records
    hidden = replace(first, completion=replace(first.completion, first_visible=None))
    trials[0] = replace(trials[0], records=(hidden, *rest))
    notes = build_results(info(), trials)["notes"]
    assert any(
        n.startswith("baseline: 1 of 240 requests never showed a visible token") for n in notes
    )


def test_answers_that_were_not_read_have_a_table_of_their_own() -> None:
    assert not any("not read" in sheet.title for sheet in sheets(build_results(info(), finished())))
    trials = finished()
    outcomes: tuple[Outcome, ...] = ("truncated", "truncated", "unparsed")
    changed = [replace(r, outcome=o) for r, o in zip(trials[0].records, outcomes, strict=False)]
    trials[0] = replace(trials[0], records=(*changed, *trials[0].records[3:]))
    (sheet,) = (s for s in sheets(build_results(info(), trials)) if "not read" in s.title)
    rows = dict(sheet.rows)
    asked = 3 * PROBLEMS  # of each domain, in three blocks
    cut, none = f"{100 * 2 / asked:.1f} % cut off", f"{100 / asked:.1f} % no answer"
    assert rows["baseline"][0].lines == (cut, none)
    assert rows["baseline"][1].lines == rows["awq"][0].lines == ("none",)


@pytest.mark.parametrize(
    "trials",
    [
        [],
        [failed(a.id, b) for a in ARMS for b in range(3)],
        [trial("baseline", 0)],
        [trial("awq", 0)],
        [Trial(TrialResult("baseline", 0, "ok"), (), ()), trial("awq", 0)],
        [Trial(TrialResult("baseline", 0, "ok", running_time=0.0), (), ())],
    ],
    ids=["nothing yet", "all failed", "baseline only", "arm only", "no records", "no time"],
)
@pytest.mark.parametrize("width", [40, 80, 200])
def test_any_state_of_a_run_gives_a_report(trials: list[Trial], width: int) -> None:
    found = build_results(info(), trials)
    jsonschema.validate(json.loads(json.dumps(found, allow_nan=False)), SCHEMA)
    assert "Accuracy" in printed(found, width)
    assert to_markdown(found).startswith("# awq")


def test_run_without_baseline_still_shows_its_arms() -> None:
    found = build_results(info([ARMS[2]], 1), [trial("awq", 0)])
    assert found["baseline"] is None
    assert found["contrasts"] == []
    assert "awq" in printed(found, 80)


@pytest.mark.parametrize("width", [80, 100])
def test_terminal_tables_fit_and_lose_nothing(results: dict[str, Any], width: int) -> None:
    text = printed(results, width)
    assert max(len(line) for line in text.splitlines()) <= width
    flat = " ".join(text.split())
    for sheet in sheets(results):
        for _, cells in sheet.rows:
            for cell in cells:
                assert all(line in flat for line in cell.lines)


def test_wide_sheet_is_split_by_columns(results: dict[str, Any]) -> None:
    sheet = next(s for s in sheets(results) if s.title == "Accuracy")
    parts = list(split(sheet, 45))
    assert [c for part in parts for c in part.columns] == list(sheet.columns)
    assert len(parts) > 1


def test_markdown_tables_are_well_formed(results: dict[str, Any]) -> None:
    text = to_markdown(results)
    blocks = re.findall(r"(?:^\|.*\|\n)+", text, flags=re.MULTILINE)
    tables = [*sheets(results), *behaviour_sheets(results)]
    assert len(blocks) == len(tables) + 3  # verdicts, flips, recipe
    for block in blocks:
        bars = [len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()]
        assert len(set(bars)) == 1
        assert set(block.splitlines()[1]) <= set("| -")
    assert text.count("\n\n*") >= len(tables)
    assert "# awq\\|spec" in text


def test_table_is_markdown() -> None:
    assert table(["a", "b"], [["1", "2"]]) == "| a | b |\n| --- | --- |\n| 1 | 2 |"


def test_sure_changes_are_bold(results: dict[str, Any]) -> None:
    text = to_markdown(results)
    assert f"**2.01{X} faster**" in text
    assert f"**3.33{X} smaller**" in text
    assert f"**50.0 %**<br>{MINUS}45.0" in text
    assert "**100.0 %**" not in text


def test_write_report_from_disk(tmp_path: Path) -> None:
    run_dir = stored(tmp_path, info(), finished())
    found = write_report(run_dir)
    assert json.loads((tmp_path / "results.json").read_text()) == found
    assert found["run"]["complete"]
    assert found["schema_version"] == 2
    assert (tmp_path / "report.md").read_text() == to_markdown(found)
    assert {p.name for p in tmp_path.iterdir()} == {
        "run.json",
        "trials",
        "results.json",
        "results.parquet",
        "report.md",
        "report.html",
    }


def test_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AblateError, match="no run directory"):
        write_report(RunDir(tmp_path))


def test_report_needs_no_torch() -> None:
    code = (
        "import sys; import ablate.report; assert 'scipy' not in sys.modules; "
        "import ablate.report.results, ablate.report.markdown, ablate.report.table; "
        "assert not {'torch', 'transformers'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, cwd=ROOT)


def test_reference_page_is_current() -> None:
    page = (ROOT / "docs/reference/metrics.md").read_text(encoding="utf-8")
    assert page == reference(), "run: python -m ablate.report.reference > docs/reference/metrics.md"


def test_words_agree_with_numbers() -> None:
    slower = {"value": 0.5, "low": 0.4, "high": 0.625}
    assert change("output_throughput", slower) == (f"2.00{X} slower", "[1.60, 2.50]")
    assert change("mean_ttft_ms", slower) == (f"2.00{X} faster", "[1.60, 2.50]")
    both = change("running_time", {"value": 0.8, "low": 0.5, "high": 1.25})
    assert both == (f"1.25{X} faster", f"[2.00{X} faster", f"to 1.25{X} slower]")
    assert change("weight_bytes", slower | {"low": None}) == (f"2.00{X} smaller",)
    assert change("mean_tpot_ms", {"value": None, "low": None, "high": None}) == ("—",)
    assert (
        change("mean_output_tokens", {"value": 15, "low": 12, "high": 200})[0] == f"15.0{X} longer"
    )


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("cost_per_correct", 0.000345678, "0.000346"),
        ("cost_per_correct", 3.45678, "3.46"),
        ("tail_requests", 3.0, "3"),
        ("tail_requests", 2.5, "2.50"),
        ("output_throughput", 1234.6, "1,235 tok/s"),
        ("cv_e2el", 0.7931, "0.793"),
        ("weight_bytes", 13_600_000, "13.6 MB"),
        ("weight_bytes", 12, "12 B"),
        ("mean_ttft_ms", 85.04, "85.0 ms"),
        ("mean_ttft_ms", 12_000, "12.0 s"),
        ("prefix_cache_hit_rate", 0.254, "25.4 %"),
        ("mean_acceptance_length", 2.5, "2.50"),
        ("num_preemptions", None, "—"),
    ],
)
def test_quantities(name: str, value: float | None, text: str) -> None:
    assert quantity(name, value) == text


def test_small_numbers_keep_their_sign_and_digits() -> None:
    assert points(-0.0001) == "0.0"
    assert points(-0.031) == f"{MINUS}3.1"
    assert digits(0.01234) == "0.012"
