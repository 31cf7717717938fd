"""What reports say of behaviours: planted stragglers, effort, budgets, models and load."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from rich.console import Console

from ablate.report.behaviours.sheets import behaviour_sheets
from ablate.report.html.budget import budget, knees_of
from ablate.report.html.timeline import timelines
from ablate.report.html.views import collect
from ablate.report.markdown import to_markdown
from ablate.report.results import build_results
from ablate.report.table import print_tables
from ablate.types import ArmInfo, Outcome, Record, RunInfo, Trial, TrialResult
from tests.records import record

SCHEMA = json.loads(
    (Path(__file__).parents[1] / "ablate/report/results.schema.json").read_text(encoding="utf-8")
)
PROBLEMS = 60


def arm(name: str, replicate: int = 0, **settings: Any) -> ArmInfo:
    given = {key.replace("__", "."): value for key, value in settings.items()}
    return ArmInfo(name, {"f": "on" if given else "off"}, {}, given, replicate)


def run(*arms: ArmInfo, **more: Any) -> RunInfo:
    return RunInfo(
        "test", "2026-01-02T03:04:05", "0.1.0", "big", "local", ("math", "facts"), arms, 2,
        2 * PROBLEMS, sampling={"max_tokens": 64}, **more,
    )  # fmt: skip


def asked(domain: str, number: int, tokens: int, outcome: Outcome = "correct") -> Record:
    times = [0.01 * (i + 1) for i in range(tokens)]
    hard = float(number % 4) if domain == "math" else None
    return record(
        *times, domain=domain, problem=str(number), outcome=outcome, difficulty=hard, visible=0.01
    )


def plain(wrong: Mapping[str, Iterable[int]] = {}, tokens: int = 20) -> list[Record]:
    """Both domains; in math an answer is 10 tokens longer for each step of difficulty."""
    return [
        asked(
            domain,
            i,
            tokens + (10 * (i % 4) if domain == "math" else 0),
            "wrong" if i in wrong.get(domain, ()) else "correct",
        )
        for domain in ("math", "facts")
        for i in range(PROBLEMS)
    ]


def trials(name: str, records: list[Record], **more: Any) -> list[Trial]:
    end = max(r.completion.finished for r in records)
    fields: dict[str, Any] = {"status": "ok", "running_time": end, **more}
    return [Trial(TrialResult(name, block, **fields), tuple(records), ()) for block in range(2)]


def results(info: RunInfo, made: list[Trial]) -> dict[str, Any]:
    found = build_results(info, made)
    jsonschema.validate(found, SCHEMA)
    return found


def shown(found: dict[str, Any]) -> str:
    console = Console(file=io.StringIO(), width=120)
    print_tables(found, console)
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


def test_stragglers_are_named_with_their_reason() -> None:
    slow = [asked("math", PROBLEMS, 300), asked("math", PROBLEMS + 1, 400)]
    found = results(run(arm("baseline")), trials("baseline", [*plain(), *slow]))
    (entry,) = found["behaviours"]["stragglers"]
    assert entry["reasons"] == {"long output": 34}  # in two blocks: these two, and the hardest 15
    last = entry["named"][0]
    assert (last["block"], last["problem_id"]) == (0, str(PROBLEMS + 1))
    assert entry["tail_share"] == pytest.approx(0.9)  # from 0.4 s to 4 s
    text = shown(found)
    assert "for 90.0 % of a trial's time only its stragglers are being served, 17 at" in text
    assert "Effort and difficulty" not in text  # the terminal has enough without it
    page = to_markdown(found)
    assert "## Stragglers" in page
    assert "long output 34" in page


def test_effort_follows_planted_difficulty() -> None:
    found = results(run(arm("baseline")), trials("baseline", plain()))
    (entry,) = found["behaviours"]["effort"]  # facts have no difficulty
    assert (entry["domain"], entry["levels"]) == ("math", 4)
    assert entry["length_correlation"]["value"] == pytest.approx(1)
    assert entry["tokens_per_step"]["value"] == pytest.approx(10)
    assert entry["seconds_per_step"]["value"] == pytest.approx(0.1)
    assert entry["tokens_per_step"]["n"] == PROBLEMS  # not answers: blocks are no problems


def test_a_resumed_trial_has_effort_in_tokens_only() -> None:
    found = results(run(arm("baseline")), trials("baseline", plain(), resumed=True))
    (entry,) = found["behaviours"]["effort"]
    assert entry["tokens_per_step"]["value"] == pytest.approx(10)
    assert entry["seconds_per_step"]["value"] is None
    assert found["behaviours"]["stragglers"][0]["reasons"] == {}


def test_a_model_is_compared_domain_by_domain() -> None:
    arms = (arm("baseline"), arm("small", model__id="small"), arm("other", seed=1))
    weak = plain({"math": range(40)})
    made = [*trials("baseline", plain()), *trials("small", weak), *trials("other", plain())]
    info = run(*arms, margins={"accuracy": 0.07})
    found = results(info, made)
    (entry,) = found["behaviours"]["models"]
    assert (entry["model"], entry["other"]) == ("big", "small")
    assert entry["domains"]["math"]["value"] == pytest.approx(40 / 60)
    assert entry["domains"]["math"]["standing"] == "ahead"
    assert entry["domains"]["facts"]["standing"] == "equal"
    tables = {s.title: s for s in behaviour_sheets(found)}
    assert tables["Model against model"].rows[0][0].startswith("big ")


def test_cut_answers_show_the_knee_and_never_overthinking() -> None:
    found = results(run(arm("baseline")), trials("baseline", plain()))
    entries = {e["domain"]: e for e in found["behaviours"]["budgets"]}
    assert [p["budget"] for p in entries[None]["points"]] == [16, 24, 32, 48, 64]
    facts = entries["facts"]
    assert [p["accuracy"]["value"] for p in facts["points"]] == [0, 1, 1, 1, 1]
    assert [p["cut_off"] for p in facts["points"]] == [1, 0, 0, 0, 0]
    assert [p["tokens"] for p in facts["points"]] == [16, 20, 20, 20, 20]
    assert facts["knee"]["budget"] == 24
    assert facts["knee"]["sure"] == 1
    assert facts["overthinking"] is None
    math = entries["math"]["points"][2]
    assert math["accuracy"]["value"] == 0.5  # 20 and 30 tokens are within 32, 40 and 50 are not


def test_a_budget_that_makes_answers_worse_is_overthinking() -> None:
    arms = (
        arm("baseline"),
        arm("short", sampling__max_tokens=16),
        arm("long", sampling__max_tokens=128),
    )
    made = [
        *trials("short", plain({"math": range(50), "facts": range(50)}, tokens=5)),
        *trials("baseline", plain()),
        *trials("long", plain({"math": range(20)}, tokens=60)),
    ]
    found = results(run(*arms), made)
    entries = {e["domain"]: e for e in found["behaviours"]["budgets"] if e["source"] == "arms"}
    math, facts = entries["math"], entries["facts"]
    assert [p["budget"] for p in math["points"]] == [16, 64, 128]
    assert [p["arm"] for p in math["points"]] == ["short", "baseline", "long"]
    assert math["knee"]["budget"] == 64
    assert math["overthinking"] is True
    assert facts["overthinking"] is False
    against = {c["budget"]: c for c in math["largest_against"]}
    assert against[64]["value"] == pytest.approx(-20 / 60)
    assert against[64]["p_holm"] < 0.001
    assert against[16]["value"] > 0
    page = to_markdown(found)
    assert "## Token budget" in page
    assert f"{20 / 60:.1%}".replace("%", "").strip() in page


def test_arms_that_differ_in_more_than_the_budget_make_no_series() -> None:
    arms = (arm("baseline"), arm("both", sampling__max_tokens=128, model__id="small"))
    found = results(run(*arms), [*trials("baseline", plain()), *trials("both", plain())])
    assert {e["source"] for e in found["behaviours"]["budgets"]} == {"cut"}


def test_answers_lost_to_load_are_noted() -> None:
    arms = (arm("baseline"), arm("busy", workload={"arrival": "poisson", "request_rate": 9}))
    lost = [replace(r, outcome="truncated") if r.problem_id in ("1", "2") else r for r in plain()]
    found = results(run(*arms), [*trials("baseline", plain()), *trials("busy", lost)])
    (note,) = [n for n in found["notes"] if "workload" in n]
    assert note.startswith("busy: under its workload 8 answers were cut off, 0 under")


def test_oversaturation_and_a_late_client_are_noted() -> None:
    piling = [
        record(i / 2 + 0.5, arrival=i / 10, dispatched=i / 10 + 4, problem=str(i), domain="math")
        for i in range(100)
    ]
    found = results(run(arm("baseline")), trials("baseline", piling))
    notes = "\n".join(found["notes"])
    assert "baseline: over-saturated in 2 of 2 blocks: of the requests that arrive 79" in notes
    assert "the client sent requests up to 4,000 ms late" in notes
    calm = results(run(arm("baseline")), trials("baseline", plain()))
    assert not any("saturated" in n or "late" in n for n in calm["notes"])


def test_energy_and_price_reach_the_report_and_a_level_may_set_a_price() -> None:
    arms = (arm("baseline"), arm("dear", price=7.2))
    made = [
        *trials("baseline", plain(), energy={"gpu0": 60.0}, info={"energy": "RAPL is shut."}),
        *trials("dear", plain(), info={"energy": "RAPL is shut."}),
    ]
    found = results(run(*arms, price=3.6), made)
    plain_arm, dear = (a["summary"] for a in found["arms"])
    assert plain_arm["joules_per_correct"] == pytest.approx(60 / 120)
    assert dear["energy_joules"] is None
    assert dear["cost_per_correct"] == pytest.approx(2 * plain_arm["cost_per_correct"])
    assert found["notes"].count("RAPL is shut.") == 1
    assert found["run"]["price"] == 3.6
    assert "## Energy and money" in to_markdown(found)


def test_nothing_measured_has_no_behaviours() -> None:
    found = results(run(arm("baseline")), [])
    assert found["behaviours"] == {"stragglers": [], "effort": [], "budgets": [], "models": []}
    assert behaviour_sheets(found) == []


def test_the_budget_chart_marks_the_knee_on_the_line() -> None:
    info, made = run(arm("baseline")), trials("baseline", plain())
    chart = budget(collect(info, made), info.domains, knees_of(results(info, made)))
    assert chart is not None
    facts = chart.figures["2"]  # all domains, math, facts
    (mark,) = [t for t in facts["data"] if t["mode"] == "markers"]
    assert (mark["x"], mark["y"]) == ([24], [1.0])
    assert mark["error_x"]["array"] == mark["error_x"]["arrayminus"] == [0]


def test_the_timeline_shows_where_it_is_steady() -> None:
    info = run(arm("baseline"))
    flow = [record(i / 10 + 2, arrival=i / 10, problem=str(i), domain="math") for i in range(200)]
    chart = timelines(collect(info, trials("baseline", flow)))
    assert chart is not None
    (figure,) = chart.figures.values()
    start, end = (s["x0"] for s in figure["layout"]["shapes"] if s["type"] == "line")
    assert 0 < start < 4  # two seconds to fill up
    assert end == pytest.approx(19.9)
    assert "Steady, between the dotted lines" in figure["note"]
    at_once = timelines(collect(info, trials("baseline", plain())))
    assert at_once is not None
    (figure,) = at_once.figures.values()
    assert "Steady" not in figure["note"]


def closing(name: str, budget: int, **settings: Any) -> ArmInfo:
    """An arm with a plugin that closes the thinking at a budget."""
    plain = arm(name, **settings)
    return replace(
        plain, levels={"f": "on"}, plugins={"forcing": {"max_thinking_tokens": budget, "wait": 0}}
    )


def test_a_closed_thinking_is_held_against_answers_cut_off_at_the_same_budget() -> None:
    arms = (
        arm("baseline"),
        arm("cut", sampling__max_tokens=16),
        closing("closed", 16),
        closing("later", 32),
        closing("short", 16, sampling__max_tokens=20),
    )
    made = [
        *trials("baseline", plain()),
        *trials("cut", plain({"math": range(50), "facts": range(30)}, tokens=5)),
        *trials("closed", plain({"math": range(20)}, tokens=18)),
        *trials("later", plain({"math": range(10)}, tokens=40)),
        *trials("short", plain()),
    ]
    found = results(run(*arms), made)
    entries = [e for e in found["behaviours"]["budgets"] if e["source"] == "closed"]
    whole, math, facts = entries
    assert [(p["budget"], p["arm"]) for p in math["points"]] == [
        (16, "closed"),
        (32, "later"),
        (64, "baseline"),  # it may think as long as it may answer
    ]
    assert [p["accuracy"]["value"] for p in math["points"]] == pytest.approx([2 / 3, 5 / 6, 1])
    assert math["points"][0]["cut_off"] == 0  # of the token limit, not of the budget
    (change,) = math["closed_against_cut"]
    assert (change["budget"], change["arm"]) == (16, "cut")
    assert change["value"] == pytest.approx(0.5)
    assert change["p_holm"] < 0.001
    assert facts["closed_against_cut"][0]["value"] == pytest.approx(0.5)
    assert whole["domain"] is None
    page = to_markdown(found)
    assert "## Thinking budget" in page
    assert "minus cut off at 16: cut" in page
    assert "## Token budget" in page
    one_limit = [e for e in found["behaviours"]["budgets"] if e["source"] == "arms"]
    assert {tuple(e["arms"]) for e in one_limit} == {("cut", "baseline"), ("short", "closed")}


def test_one_closed_arm_beside_nothing_makes_no_series() -> None:
    arms = (arm("baseline"), closing("closed", 16, seed=3))
    found = results(run(*arms), [*trials("baseline", plain()), *trials("closed", plain())])
    assert {e["source"] for e in found["behaviours"]["budgets"]} == {"cut"}
