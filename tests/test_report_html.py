"""The HTML report: what it shows, that nothing in it can run or load, and that it opens."""

from __future__ import annotations

import heapq
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from html.parser import HTMLParser
from itertools import pairwise
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ablate.metrics import find_tail
from ablate.report.html import write_html
from ablate.report.html.chart import label, quantiles, ratio_axis
from ablate.report.html.difficulty import levels
from ablate.report.html.flips import MOST_TEXT, find_flips, shorten
from ablate.report.html.lines import extremes
from ablate.report.html.page import to_html
from ablate.report.html.scatter import Point, front
from ablate.report.html.views import collect
from ablate.report.results import build_results
from ablate.report.words import TIMES
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
DOMAINS = ("arithmetic", "algebra", "logic", "code", "sorting", "knowledge")
HOSTILE = '</script><img src=x onerror="alert(1)"><!--<script>{{ 7*7 }}%{x}'
SLOTS = 16
LOSS = {"awq": 0.05, "draft": 0.004, "kv_int8": 0.01}
SPEED = {"awq": 1.25, "draft": 1.6, "kv_int8": 0.95}


def arm(name: str, replicate: int = 0) -> ArmInfo:
    on = () if name.startswith("baseline") else tuple(name.split("+"))
    factors = {"weights": "awq", "decode": "draft", "cache": "kv_int8"}
    levels = {factor: level if level in on else "off" for factor, level in factors.items()}
    return ArmInfo(name, levels, {n: {"bits": 4} for n in on}, replicate=replicate)


ARMS = (
    arm("baseline"),
    arm("baseline-again", 1),
    *map(arm, ("awq", "draft", "awq+draft", "kv_int8", "draft+kv_int8", "awq+draft+kv_int8")),
)


def run_info(arms: Sequence[ArmInfo] = ARMS, blocks: int = 3, problems: int = 40) -> RunInfo:
    return RunInfo(
        name="awq, draft and kv_int8",
        created="2026-11-24T03:04:05",
        ablate_version="0.1.0",
        model="tiny-reasoner",
        engine="local",
        domains=DOMAINS,
        arms=tuple(arms),
        blocks=blocks,
        requests_per_trial=problems * len(DOMAINS),
        margins={"accuracy": 0.02},
        slo={"ttft": 0.2},
        environment={"cpu": "AMD EPYC 7B13", "cores": 2, "torch": "2.13.0"},
    )


def simulated(info: RunInfo, name: str, block: int, problems: int) -> Trial:
    """A trial of a made-up engine with 16 slots; every arm gets the same problems."""
    on = [n for n in LOSS if n in name.split("+")]
    rng = np.random.default_rng([block, len(name)])
    step = 0.004 / prod(SPEED[n] for n in on) * float(rng.normal(1, 0.02))
    free, records = [(0.0, slot) for slot in range(SLOTS)], []
    for number in range(problems):
        for place, domain in enumerate(DOMAINS):
            start, slot = heapq.heappop(free)
            made = _record(name, on, (domain, place, number), start, step)
            heapq.heappush(free, (made.completion.finished, slot))
            records.append(made)
    end = max(r.completion.finished for r in records)
    usage = tuple(_usage(records, end * i / 100, "kv_int8" in on) for i in range(100))
    result = TrialResult(
        name,
        block,
        "ok",
        running_time=end,
        load_seconds=1.0,
        weight_bytes=4_000_000 if "awq" in on else 13_200_000,
        peak_rss_bytes=int(6e8),
        cpu_seconds=1.9 * end,
        counters={"spec_num_drafts": 100, "spec_num_accepted_tokens": 210} if "draft" in on else {},
        evidence=tuple(Evidence(n, True, "24 of 24 layers", {"layers": 24.0}) for n in on),
    )
    return Trial(result, tuple(records), usage)


def _record(
    name: str, on: Sequence[str], key: tuple[str, int, int], start: float, step: float
) -> Record:
    domain, place, number = key
    rng = np.random.default_rng([place, number])
    hard = number % 5
    thought = int(20 + 14 * hard + 40 * rng.exponential() * (1 + 6 * (rng.random() < 0.04)))
    right = rng.random() < 0.97 - 0.11 * hard - 0.03 * place
    turned = np.random.default_rng([place, number, len(name)])
    loss = sum(LOSS[n] for n in on) * (1 + (domain in ("logic", "code")))
    flipped = turned.random() < (0.01 if name == "baseline-again" else loss)
    outcome: Outcome = "correct" if right != flipped else turned.choice(["wrong", "truncated"])
    tokens = thought + 6
    times = tuple(start + step * (4 + i) for i in range(tokens))
    words = " ".join(f"{i} and {i + hard} make {2 * i + hard};" for i in range(thought // 8))
    text = f"<think>{words}{' no, wait.' if flipped else ''}</think>{number + flipped}"
    done = Completion(
        request_id=f"{domain}/{number}/0",
        text=text,
        prompt_tokens=30,
        output_tokens=tokens,
        thinking_tokens=thought,
        arrival=start,
        dispatched=start,
        finished=times[-1],
        token_times=times,
        first_visible=None if outcome == "truncated" else times[thought],
        finish_reason="length" if outcome == "truncated" else "stop",
    )
    parsed = None if outcome == "truncated" else str(number + flipped)
    return Record(done, domain, str(number), 0, float(hard), outcome, parsed, str(number))


def _usage(records: Sequence[Record], time: float, half: bool) -> Usage:
    running = [c for r in records if (c := r.completion).arrival <= time < c.finished]
    held = sum(c.prompt_tokens + int((time - c.arrival) / 0.004) for c in running)
    need = held * (256 if half else 512)
    return Usage(time, len(running), SLOTS - len(running), held, need, need, 4_000_000)


def failed(name: str, block: int, message: str = "no answer for 60 s") -> Trial:
    return Trial(TrialResult(name, block, "failed", kind="timeout", message=message), (), ())


@cache
def everything() -> tuple[RunInfo, tuple[Trial, ...]]:
    """Eight arms in three blocks, one of which failed."""
    info = run_info()
    return info, tuple(
        failed(a.id, b) if a.id == "draft+kv_int8" else simulated(info, a.id, b, 40)
        for a in info.arms
        for b in range(info.blocks)
    )


@cache
def page() -> str:
    info, trials = everything()
    return to_html(build_results(info, trials), info, iter(trials))


class Elements(HTMLParser):
    """Every element of a page with its attributes, and the text of script elements."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.found and self.found[-1][0] == "script":
            self.scripts.append(data)

    def ids(self) -> set[str]:
        return {a["id"] or "" for _, a in self.found if "id" in a}

    def figures(self) -> Iterator[dict[str, Any]]:
        data = json.loads(self.scripts[0])
        for chart in data.values():
            yield from chart["figures"].values()


def test_every_section_is_there() -> None:
    ids = Elements(page()).ids()
    assert {"answer", "tradeoff", "effects", "together", "domains", "latency", "timeline"} <= ids
    assert {"kv", "budget", "difficulty", "flips", "tables", "care", "methods", "setup"} <= ids
    links = {a["href"] for tag, a in Elements(page()).found if tag == "a"}
    assert {str(link).removeprefix("#") for link in links} <= ids


def test_every_figure_is_one_that_plotly_accepts() -> None:
    graph_objects = pytest.importorskip("plotly.graph_objects")
    figures = list(Elements(page()).figures())
    assert len(figures) > 40
    for figure in figures:
        graph_objects.Figure({"data": figure["data"], "layout": figure["layout"]})


def test_same_arm_has_the_same_colour_everywhere() -> None:
    seen: dict[str, set[str]] = {}
    for figure in Elements(page()).figures():
        for trace in figure["data"]:
            if "meta" in trace:
                colour = (trace.get("line") or trace["marker"])["color"]
                seen.setdefault(trace["meta"]["arm"], set()).add(colour)
    assert len(seen) == 7
    assert all(len(colours) == 1 for colours in seen.values())
    assert len({next(iter(colours)) for colours in seen.values()}) == 7


def hostile() -> tuple[RunInfo, list[Trial]]:
    """Every text that a model, a recipe or a machine may bring is an attack."""
    arms = [arm("baseline"), replace(arm("awq"), id=HOSTILE, settings={HOSTILE: HOSTILE})]
    info = run_info(arms, 1, 12)
    trials = [simulated(info, name, 0, 12) for name in ("baseline", "awq")]
    evil = tuple(
        replace(
            r,
            completion=replace(r.completion, text=HOSTILE + r.completion.text),
            domain=HOSTILE if r.domain == "logic" else r.domain,
            problem_id=HOSTILE + r.problem_id,
            outcome="wrong",
            parsed=HOSTILE,
            reference=HOSTILE,
        )
        for r in trials[1].records
    )
    shared = tuple(
        replace(r, domain=e.domain, problem_id=e.problem_id)
        for r, e in zip(trials[0].records, evil, strict=True)
    )
    result = replace(trials[1].result, arm=HOSTILE, evidence=(Evidence(HOSTILE, True, HOSTILE),))
    domains = tuple(HOSTILE if d == "logic" else d for d in DOMAINS)
    info = replace(
        info,
        name=HOSTILE,
        model=HOSTILE,
        engine=HOSTILE,
        domains=domains,
        environment={HOSTILE: HOSTILE},
    )
    return info, [replace(trials[0], records=shared), Trial(result, evil, trials[1].usage)]


def drawn_texts(node: Any) -> Iterator[str]:
    """The strings of a figure that plotly draws; ``meta`` and ``name`` only name things."""
    if isinstance(node, str):
        yield node
    for child in node if isinstance(node, list) else ():
        yield from drawn_texts(child)
    for name, child in node.items() if isinstance(node, dict) else ():
        if name not in ("meta", "name", "note"):
            yield from drawn_texts(child)


def test_hostile_text_is_only_text() -> None:
    info, trials = hostile()
    text = to_html(build_results(info, trials), info, trials)
    elements = Elements(text)
    assert HOSTILE not in text
    assert not [tag for tag, _ in elements.found if tag == "img"]
    assert not [a for _, a in elements.found if any(name.startswith("on") for name in a)]
    assert [tag for tag, _ in elements.found].count("script") == 3
    assert text.count("</script>") == 3
    assert "{{ 7*7 }}" in text
    data = elements.scripts[0]
    assert not set("<>&") & set(data)
    shown = [text for figure in elements.figures() for text in drawn_texts(figure)]
    assert any("&lt;img" in text for text in shown)
    assert not any("<img" in text or "7 }}%{x}" in text for text in shown)


def test_nothing_is_loaded_from_the_network() -> None:
    elements = Elements(page())
    for tag, attributes in elements.found:
        assert tag not in ("link", "iframe", "object", "embed", "base", "form")
        for name in ("src", "srcset", "data", "action", "poster"):
            assert name not in attributes
        assert (attributes.get("href") or "#").startswith("#")
    style = page().split("<style>")[1].split("</style>")[0]
    assert "url(" not in style
    assert "@import" not in style
    policy = next(a["content"] for _, a in elements.found if "http-equiv" in a)
    assert policy
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "http" not in policy


@pytest.mark.parametrize(
    ("arms", "trials"),
    [
        (ARMS, []),
        (ARMS, [failed(a.id, b) for a in ARMS for b in range(3)]),
        (ARMS, [("baseline", 0)]),
        (ARMS, [("awq", 0)]),
        (ARMS, [("baseline", 0), ("awq", 1)]),
        (ARMS[:1], [("baseline", 0)]),
        (ARMS[2:3], [("awq", 0)]),
        (ARMS, [Trial(TrialResult("baseline", 0, "ok"), (), ()), ("awq", 0)]),
        (ARMS[:3], [("baseline", 0), ("baseline-again", 0), ("awq", 0)]),
    ],
    ids=[
        "nothing yet",
        "all failed",
        "unfinished",
        "arm only",
        "no shared block",
        "single arm",
        "no baseline",
        "no records",
        "one block",
    ],
)
def test_any_state_of_a_run_gives_a_page(arms: Sequence[ArmInfo], trials: Sequence[Any]) -> None:
    info = run_info(arms, problems=8)
    ended = [t if isinstance(t, Trial) else simulated(info, t[0], t[1], 8) for t in trials]
    text = to_html(build_results(info, ended), info, ended)
    elements = Elements(text)
    assert {"answer", "tables", "methods", "setup"} <= elements.ids()
    links = {str(a["href"])[1:] for tag, a in elements.found if tag == "a"}
    assert links <= elements.ids()


def test_resumed_trial_shows_no_times() -> None:
    info = run_info(ARMS[:1], 1, 8)
    one = simulated(info, "baseline", 0, 8)
    (view,) = collect(info, [replace(one, result=replace(one.result, resumed=True))])
    assert view.timeline is None
    assert not view.requests.timed.any()
    assert view.requests.correct.size == 8 * len(DOMAINS)


def test_stragglers_run_in_the_tail() -> None:
    finished = np.array([1.0] * 7 + [5.0])
    tail = find_tail(np.zeros(8), finished)
    assert (tail.peak, tail.start, tail.late.sum()) == (8, 1.0, 1)
    assert find_tail(np.zeros(3), np.array([1.0, 2.0, 3.0])).start is None
    assert find_tail(np.empty(0), np.empty(0)).start is None


def test_front_leaves_out_what_is_beaten() -> None:
    values = {"a": (1.0, 0.8), "b": (2.0, 0.8), "c": (3.0, 0.5), "d": (2.5, 0.4)}
    points = [Point(n, x, None, None, y, None, None, "") for n, (x, y) in values.items()]
    assert [p.arm for p in front(points)] == ["b", "c"]


def test_flips_are_those_of_the_baseline_with_both_texts() -> None:
    info, trials = everything()
    found = find_flips(collect(info, trials), "baseline")
    assert 0 < len(found.shown) == found.total
    flip = next(f for f in found.shown if f.lost)
    assert flip.baseline.answer.outcome == "correct" != flip.other.answer.outcome
    assert flip.baseline.same == flip.other.same
    assert flip.baseline.same + flip.baseline.rest == flip.baseline.answer.text
    assert find_flips(collect(info, trials), None).shown == ()


def test_long_texts_keep_their_ends() -> None:
    same, rest = shorten("a" * 9_000 + "z", 9_000)
    assert len(same) < MOST_TEXT
    assert "6,000 characters left out" in same
    assert rest == "z"


def test_thinning_keeps_the_curve_and_the_peaks() -> None:
    x, y = quantiles(np.arange(10_000, dtype=np.float64), 100)
    assert len(x) == 100
    assert (x[0], x[-1], y[-1]) == (0, 9999, 1)
    values = np.zeros(10_000)
    values[5_003] = 7
    kept = extremes(values, 100)
    assert len(kept) <= 202
    assert 5_003 in kept


def test_difficulties_become_a_few_levels() -> None:
    assert levels(np.array([1.0, 2.0, 2.0, np.nan])) == [(1, 1), (2, 2)]
    many = levels(np.arange(1000, dtype=np.float64))
    assert 2 < len(many) <= 8
    assert (many[0][0], many[-1][1]) == (0, 999)
    assert all(a[1] < b[0] for a, b in pairwise(many))


def test_ratio_axis_has_no_change_on_it() -> None:
    assert f"1{TIMES}" in ratio_axis([1.3, 1.5])["ticktext"]
    assert f"1{TIMES}" in ratio_axis([0.5, 400])["ticktext"]
    assert ratio_axis([])["ticktext"] == [f"1{TIMES}"]


def test_labels_are_text_to_plotly() -> None:
    assert label("<b>%{x}\n&") == "&lt;b&gt;% {x} &amp;"


def test_page_is_written_and_reporting_stays_light(tmp_path: Path) -> None:
    info, trials = everything()
    write_html(build_results(info, trials), info, trials, tmp_path / "report.html")
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == page()
    code = (
        "import sys; import ablate.report, ablate.report.html; "
        "assert not {'plotly', 'jinja2', 'numpy', 'torch'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, cwd=ROOT)


@pytest.mark.slow
def test_large_run_stays_small() -> None:
    info = run_info(ARMS[:3], 1, 40)
    few = [simulated(info, a.id, 0, 40) for a in info.arms]
    trials = [
        replace(
            t,
            records=tuple(
                replace(r, problem_id=f"{r.problem_id}-{i}") for i in range(140) for r in t.records
            ),
        )
        for t in few
    ]
    assert sum(len(t.records) for t in trials) > 100_000
    text = to_html(build_results(info, trials), info, trials)
    assert len(text.encode()) < 10_000_000
    assert "more changed answers are left out" in text


CHROMIUM = shutil.which("chromium")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
    "--virtual-time-budget=4000",
    "--enable-logging=stderr",
    "--window-size=1280,1000",
]


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium on the PATH")
@pytest.mark.parametrize("attack", [False, True], ids=["normal", "hostile"])
def test_browser_draws_every_chart_without_a_complaint(tmp_path: Path, attack: bool) -> None:
    text = page()
    if attack:
        info, trials = hostile()
        text = to_html(build_results(info, trials), info, trials)
    file = tmp_path / "report.html"
    file.write_text(text, encoding="utf-8")
    done = subprocess.run(
        [str(CHROMIUM), *FLAGS, f"--user-data-dir={tmp_path / 'user'}", "--dump-dom", str(file)],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert re.findall(r".*CONSOLE.*", done.stderr) == []
    drawn = len(re.findall(r'<svg class="main-svg"', done.stdout))
    assert drawn >= done.stdout.count('class="chart"')
