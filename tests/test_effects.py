"""Effects, their p-values and verdicts: against brute force, references and planted truths."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import combinations, product
from math import exp, log, sqrt
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from ablate import stats
from ablate.power import detectable_loss
from ablate.report.reasons import needed
from ablate.report.results import build_results
from ablate.report.sheets import sheets
from ablate.report.words import TIMES
from ablate.stats import Floats
from ablate.stats.claims import above, equivalent, non_inferior
from ablate.stats.verdict import (
    Effect,
    accuracy_status,
    efficiency_status,
    more_blocks,
    more_problems,
    verdict,
)
from ablate.types import ArmInfo, Claim, Trial
from tests.test_report import info, trial

# --- several answers to a problem


@given(st.integers(1, 7), st.data())
def test_pass_at_k_is_the_share_of_choices_with_a_right_answer(n: int, data: st.DataObject) -> None:
    right, k = data.draw(st.integers(0, n)), data.draw(st.integers(1, n))
    answers = [i < right for i in range(n)]
    chosen = [any(some) for some in combinations(answers, k)]
    assert stats.pass_at_k(n, right, k) == pytest.approx(sum(chosen) / len(chosen))


def test_majority_at_k_by_hand() -> None:
    answers = [("7", True), ("7", True), ("3", False), (None, False)]
    assert stats.majority_at_k(answers, 4) == 1
    assert stats.majority_at_k(answers, 1) == 0.5
    # 7,7: right; 7,3 (twice): tie; 7,none (twice): right; 3,none: wrong
    assert stats.majority_at_k(answers, 2) == pytest.approx((1 + 2 * 0.5 + 2 + 0) / 6)


@given(st.lists(st.tuples(st.sampled_from(["a", "b", None]), st.just(False)), min_size=1))
def test_without_a_right_answer_nothing_passes(answers: list[tuple[str | None, bool]]) -> None:
    answers = answers[:8]
    assert stats.majority_at_k(answers, len(answers)) == 0
    assert stats.pass_at_k(len(answers), 0, 1) == 0


@pytest.mark.parametrize("k", [0, 3])
def test_more_answers_than_there_are_cannot_be_drawn(k: int) -> None:
    with pytest.raises(ValueError, match="answers"):
        stats.pass_at_k(2, 1, k)
    with pytest.raises(ValueError, match="answers"):
        stats.majority_at_k([("1", True), ("1", True)], k)


# --- sign-flip test

changes = st.lists(st.sampled_from([-1, -0.5, 0, 0.25, 0.5, 1]), min_size=1, max_size=9).map(
    lambda values: np.array(values, dtype=float)
)


@given(changes)
@settings(deadline=None)
def test_sign_flip_enumerates_all_signs(d: Floats) -> None:
    sums = [abs(float(np.dot(signs, d))) for signs in product((-1, 1), repeat=d.size)]
    expected = np.mean([s >= abs(d.sum()) - 1e-9 for s in sums])
    assert stats.sign_flip(d) == pytest.approx(expected)
    assert stats.sign_flip(-d) == pytest.approx(expected)
    assert stats.sign_flip(d[::-1]) == pytest.approx(expected)


@given(st.integers(0, 30), st.integers(0, 30), st.integers(1, 50))
@settings(deadline=None)
def test_sign_flip_of_whole_flips_is_mcnemar(worse: int, better: int, same: int) -> None:
    d = np.array([-1.0] * worse + [1.0] * better + [0.0] * same)
    changed = worse + better
    expected = scipy_stats.binomtest(better, changed).pvalue if changed else 1.0
    assert stats.sign_flip(d) == pytest.approx(expected)


def test_drawn_signs_agree_with_all_signs() -> None:
    d = np.round(np.random.default_rng(0).normal(0.15, 0.4, 400), 3)  # too many sizes to enumerate
    drawn = stats.sign_flip(d)
    z = d.sum() / sqrt((d**2).sum())
    assert drawn == pytest.approx(2 * scipy_stats.norm.sf(abs(z)), abs=0.005)
    assert drawn == stats.sign_flip(d)


def test_sign_flip_of_nothing() -> None:
    assert stats.sign_flip(np.empty(0)) is None
    assert stats.sign_flip(np.zeros(5)) == 1


# --- Holm


def test_holm_by_hand() -> None:
    found = stats.holm([0.01, 0.04, 0.03, None, 0.005])
    assert found == pytest.approx([0.03, 0.06, 0.06, None, 0.02])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12), st.randoms())
def test_holm_keeps_order_and_never_helps(p_values: list[float], random: Any) -> None:
    found = dict(zip(p_values, stats.holm(p_values), strict=True))
    m = len(p_values)
    for p, adjusted in found.items():
        assert adjusted is not None
        assert p <= adjusted <= min(1, m * p) + 1e-12
    shuffled = random.sample(p_values, m)
    assert stats.holm(shuffled) == [found[p] for p in shuffled]


# --- ratios


logs = st.lists(st.floats(-2, 2), min_size=2, max_size=8)


@given(logs)
def test_ratio_p_is_the_t_test_of_the_logs(values: list[float]) -> None:
    if stats.spread(values) < 1e-6:
        return
    expected = scipy_stats.ttest_1samp(values, 0).pvalue
    assert stats.ratio_p(values) == pytest.approx(expected, rel=1e-6)
    assert stats.ratio_p([-v for v in values]) == pytest.approx(expected, rel=1e-6)


def test_what_is_not_random_is_certain() -> None:
    assert stats.ratio_p([log(0.3)] * 3) == 0
    assert stats.ratio_p([0.0] * 3) == 1
    assert stats.ratio_p([0.1]) is None


def test_unpaired_ratio_is_welch() -> None:
    x, y = [2.0, 2.2, 2.1, 2.4], [1.0, 1.3, 1.1]
    expected = scipy_stats.ttest_ind(np.log(x), np.log(y), equal_var=False).confidence_interval()
    found = stats.unpaired_ratio(x, y)
    assert found.value == pytest.approx(exp(np.log(x).mean() - np.log(y).mean()))
    assert (found.low, found.high) == pytest.approx((exp(expected.low), exp(expected.high)))
    assert stats.unpaired_ratio([1.0], [2.0]).low is None
    assert stats.unpaired_ratio([], [2.0]).value is None


# --- design

LEVELS = {
    "base": {"a": "off", "b": "off", "c": "off"},
    "a": {"a": "on", "b": "off", "c": "off"},
    "b": {"a": "off", "b": "on", "c": "off"},
    "ab": {"a": "on", "b": "on", "c": "off"},
    "bc": {"a": "off", "b": "on", "c": "on"},
    "abc": {"a": "on", "b": "on", "c": "on"},
}


def effects_of(arms: Mapping[str, Mapping[str, str]]) -> dict[str, set[tuple[str, ...]]]:
    found = (*stats.main_effects(arms), *stats.interactions(arms))
    return {c.name: {s.arms for s in c.settings} for c in found}


def test_a_level_is_shown_by_every_pair_that_differs_in_it_alone() -> None:
    assert effects_of(LEVELS) == {
        "a.on": {("a", "base"), ("ab", "b"), ("abc", "bc")},
        "b.on": {("b", "base"), ("ab", "a")},
        "c.on": {("bc", "b"), ("abc", "ab")},
        "a.on & b.on": {("ab", "b", "a", "base")},
        "a.on & c.on": {("abc", "bc", "ab", "b")},
    }


def test_designs_that_leave_arms_out() -> None:
    alone = {name: LEVELS[name] for name in ("base", "a", "b")}
    assert effects_of(alone) == {"a.on": {("a", "base")}, "b.on": {("b", "base")}}
    growing = {name: LEVELS[name] for name in ("base", "a", "ab", "abc")}
    assert effects_of(growing) == {
        "a.on": {("a", "base")},
        "b.on": {("ab", "a")},
        "c.on": {("abc", "ab")},
    }
    without = stats.compare(LEVELS, [("a", "on")], without=[("b", "on")])
    assert [s.arms for s in without.settings] == [("a", "base")]


# --- verdicts


def measured(value: float, half: float, **more: Any) -> Effect:
    p = 0.001 if abs(value) > half else 0.5
    return replace(Effect(value, value - half, value + half, p, 100, 0.2), **more)


@pytest.mark.parametrize(
    ("effect", "status"),
    [
        (measured(0.05, 0.01), "better"),
        (measured(0.05, 0.01, within_noise=True), "kept"),
        (measured(0.05, 0.01, p=0.2), "kept"),
        (measured(-0.005, 0.01), "kept"),
        (measured(-0.05, 0.01), "worse"),
        (measured(-0.03, 0.02), "worse"),  # the upper end is above -0.02, but a loss is shown
        (measured(-0.03, 0.02, p=0.2), "undecided"),
        (measured(-0.05, 0.01, within_noise=True), "undecided"),
        (measured(-0.015, 0.01), "undecided"),  # a loss is shown, but not that it is too large
        (Effect(None, None, None, None, 0), "not measured"),
    ],
)
def test_accuracy_is_judged_by_non_inferiority(effect: Effect, status: str) -> None:
    assert accuracy_status(effect, margin=0.02) == status


@pytest.mark.parametrize(
    ("effect", "status"),
    [
        (measured(0.3, 0.1), "better"),
        (measured(-0.3, 0.1), "worse"),
        (measured(0.3, 0.1, p=0.2), "undecided"),
        (measured(0.3, 0.1, within_noise=True), "undecided"),
        (measured(0.02, 0.01), "same"),
        (measured(0.02, 0.1), "undecided"),
        (Effect(-1.2, None, None, None, 1, exact=True), "worse"),
        (Effect(0.3, None, None, None, 1), "undecided"),
        (Effect(None, None, None, None, 0), "not measured"),
    ],
)
def test_efficiency_is_judged_by_superiority_beyond_a_band(effect: Effect, status: str) -> None:
    assert efficiency_status(effect, band=log(1.05)) == status


@pytest.mark.parametrize(
    ("accuracy", "efficiency", "word"),
    [
        ("kept", ["better", "same"], "keep"),
        ("kept", ["better", "worse"], "trade-off"),
        ("kept", ["same", "worse"], "drop"),
        ("kept", ["undecided", "worse"], "undecided"),
        ("undecided", ["undecided", "worse"], "undecided"),
        ("kept", ["same", "same", "not measured"], "no difference"),
        ("kept", ["same", "undecided"], "undecided"),
        ("kept", [], "undecided"),
        ("worse", ["better"], "trade-off"),
        ("worse", ["same"], "drop"),
        ("better", ["worse"], "trade-off"),
        ("better", ["same"], "keep"),
        ("undecided", ["better"], "undecided"),
        ("undecided", ["worse"], "drop"),
    ],
)
def test_the_verdict_weighs_gains_and_losses(accuracy: Any, efficiency: Any, word: str) -> None:
    assert verdict(accuracy, efficiency) == word


def test_more_problems_decide_what_fewer_leave_open() -> None:
    # s = 0.24, 1 point from the margin: (2.8016 * 0.24 / 0.01)² = 4521
    found = more_problems(replace(measured(-0.01, 0.05), n=500, deviation=0.24), 0.02)
    assert found == pytest.approx(4521 - 500, abs=2)
    assert more_problems(measured(-0.02, 0.05), 0.02) is None
    nothing_changed = Effect(0.0, -0.05, 0.05, 1.0, 64, 0.0)
    z2 = 1.959964**2
    assert more_problems(nothing_changed, 0.02) == pytest.approx(z2 * 49 - 64, abs=1)


def test_more_blocks_decide_what_fewer_leave_open() -> None:
    noisy = Effect(0.1, -0.1, 0.3, 0.2, 3, 0.08)
    more = more_blocks(noisy, log(1.05))
    assert more is not None
    n = noisy.n + more
    reach = scipy_stats.t.ppf(0.975, n - 1) + scipy_stats.t.ppf(0.8, n - 1)
    assert reach * 0.08 / sqrt(n) < 0.1
    assert more_blocks(replace(noisy, deviation=5.0), log(1.05)) is None
    assert more_blocks(Effect(0.1, None, None, None, 1), log(1.05)) == 2


def test_claims_are_supported_refuted_or_open() -> None:
    fast, slow, flat = measured(0.3, 0.1), measured(-0.3, 0.1), measured(0.01, 0.02)
    assert [above(e, 0.0, 0.05) for e in (fast, slow, flat)] == ["supported", "refuted", "refuted"]
    assert above(fast, log(1.2)) == "supported"
    assert above(fast, log(1.6)) == "refuted"
    assert above(measured(0.3, 0.4), 0.0) == "undecided"
    assert above(replace(fast, within_noise=True), 0.0) == "undecided"
    assert [non_inferior(e, 0.25) for e in (fast, slow, flat)] == [
        "supported",
        "undecided",
        "supported",
    ]
    assert non_inferior(slow, 0.1) == "refuted"
    assert [equivalent(e, 0.05) for e in (fast, slow, flat)] == ["refuted", "refuted", "supported"]


# --- Pareto, why, flips

points = st.dictionaries(
    st.sampled_from("abcdef"),
    st.tuples(st.sampled_from([0.1, 0.5, 0.9]), st.sampled_from([1.0, 2.0, 3.0])),
    min_size=1,
)


@given(points)
def test_dominated_arms_name_an_arm_on_the_front(at: dict[str, tuple[float, float]]) -> None:
    found = stats.dominators(at)
    for arm, by in found.items():
        better = [o for o in at if at[o] != at[arm] and all(np.array(at[o]) >= at[arm])]
        assert (by is None) == (not better)
        if by is not None:
            assert by in better
            assert found[by] is None


@given(st.lists(st.tuples(*[st.floats(0.1, 10)] * 6), min_size=1, max_size=5))
def test_parts_of_e2e_multiply_to_the_whole(rows: list[tuple[float, ...]]) -> None:
    names = ("e2e", "output_length", "time_per_token")
    blocks = [{n: (r[2 * i], r[2 * i + 1]) for i, n in enumerate(names)} for r in rows]
    found: Any = stats.decompose(blocks)
    ratios = found["ratios"]
    parts = ratios["output_length"] * ratios["time_per_token"] * ratios["remainder"]
    assert parts == pytest.approx(ratios["e2e"])
    if found["shares"]:
        assert sum(found["shares"].values()) == pytest.approx(1)


def test_flips_are_counted_both_ways() -> None:
    problem = np.array([0, 0, 1, 2])
    pair = (np.array([1.0, 0, 0, np.nan]), np.array([0.0, 0, 1, 1]))
    found = stats.flips([pair], problem)
    assert (found.answers, found.right_to_wrong, found.wrong_to_right) == (3, 1, 1)
    assert found.rate.value == pytest.approx((0.5 + 1) / 2)
    assert found.rate.n == 2


# --- from trials to verdicts


def factorial(**lossless: tuple[str, ...]) -> tuple[ArmInfo, ...]:
    def arm(name: str, weights: str, decode: str, replicate: int = 0) -> ArmInfo:
        plugins: dict[str, Any] = {p: {} for p in (weights, decode) if p != "off"}
        levels = {"weights": weights, "decode": decode}
        return ArmInfo(name, levels, plugins, {}, replicate, lossless.get(name, ()))

    return (
        arm("baseline", "off", "off"),
        arm("again", "off", "off", 1),
        arm("awq", "awq", "off"),
        arm("draft", "off", "draft"),
        arm("both", "awq", "draft"),
    )


def trials(wrong: Mapping[str, range], speed: Mapping[str, float]) -> list[Trial]:
    rng = np.random.default_rng(0)
    return [
        trial(name, b, speed.get(name, 1.0) * rng.normal(1, 0.005), wrong.get(name, range(0)))
        for b in range(3)
        for name in ("baseline", "again", "awq", "draft", "both")
    ]


def found_in(results: Mapping[str, Any], key: str, name: str, **want: Any) -> dict[str, Any]:
    entries = (e for e in results[key] if e["name"] == name)
    return next(e for e in entries if all(e[k] == v for k, v in want.items()))


def test_main_effects_average_over_the_other_factor() -> None:
    speeds = {"awq": 2.0, "draft": 1.5, "both": 2.4}
    wrong = {"awq": range(12), "both": range(8)}
    results = build_results(info(factorial()), trials(wrong, speeds))
    change = found_in(results, "effects", "weights.awq", metric="accuracy", domain="logic")
    assert change["value"] == pytest.approx(-(12 + 8) / 2 / 40)
    speed = found_in(results, "effects", "weights.awq", metric="request_throughput")
    assert speed["value"] == pytest.approx(sqrt(2.0 * 2.4 / 1.5), rel=0.01)
    together = found_in(results, "interactions", "weights.awq & decode.draft", domain="logic")
    assert together["value"] == pytest.approx((-8 + 12) / 40)
    speed = found_in(
        results, "interactions", "weights.awq & decode.draft", metric="request_throughput"
    )
    assert speed["value"] == pytest.approx(2.4 / (2.0 * 1.5), rel=0.02)
    assert speed["p_holm"] >= speed["p_value"]
    assert speed["family_size"] == 3


def test_an_interaction_blames_neither_optimization() -> None:
    results = build_results(info(factorial()), trials({"both": range(20)}, {}))
    together = found_in(results, "interactions", "weights.awq & decode.draft", domain="logic")
    assert together["p_holm"] < 0.01
    for name in ("weights.awq", "decode.draft"):
        entry = found_in(results, "verdicts", name, domain="logic")
        assert entry["accuracy"]["basis"] == "alone"
        assert entry["accuracy"]["value"] == 0
        assert entry["verdict"] not in ("drop", "trade-off")
        assert "50.0 points less" in entry["cautions"][0]


def test_verdicts_follow_what_was_planted() -> None:
    speeds = {"draft": 1.5, "both": 1.5}
    one = info(factorial())
    wide = replace(one, margins={"accuracy": 0.1})
    results = build_results(wide, trials({"awq": range(30), "both": range(30)}, speeds))
    words = {v["name"]: v["verdict"] for v in results["verdicts"] if v["domain"] is None}
    assert words == {"weights.awq": "drop", "decode.draft": "keep"}
    domain = found_in(results, "verdicts", "weights.awq", domain="arithmetic")
    assert domain["verdict"] == "no difference"


def test_bytes_of_two_optimizations_add_up_and_are_no_interaction() -> None:
    held = {"awq": 300_000, "draft": 1_200_000, "both": 500_000}
    made = [
        replace(t, result=replace(t.result, weight_bytes=held.get(t.result.arm, 1_000_000)))
        for t in trials({}, {"draft": 1.5, "both": 1.5})
    ]
    results = build_results(info(factorial()), made)
    together = found_in(
        results, "interactions", "weights.awq & decode.draft", metric="weight_bytes"
    )
    assert together["value"] == pytest.approx(0.5 / (0.3 * 1.2))
    assert [v["cautions"] for v in results["verdicts"] if v["cautions"]] == []


def test_a_level_without_an_arm_to_show_it_has_no_verdict_and_says_so() -> None:
    alone = tuple(a for a in factorial() if a.id != "both")
    made = [t for t in trials({}, {}) if t.result.arm not in ("awq", "both")]
    results = build_results(info(alone), made)
    assert {v["name"] for v in results["verdicts"]} == {"decode.draft"}
    assert any(n.startswith("weights.awq: no verdict;") for n in results["notes"])


def test_a_machine_that_slows_down_is_noted() -> None:
    slower = {0: 1.0, 1: 1.0, 2: 0.8}
    made = [
        trial(name, b, slower[b] * speed)
        for b in range(3)
        for name, speed in {"baseline": 1.0, "again": 1.001, "awq": 2.0, "draft": 1.5}.items()
    ]
    results = build_results(info(factorial()), made)
    first, second = (e["ratios"]["output_throughput"] for e in results["drift"])
    assert (first["value"], first["n"]) == (pytest.approx(1.0), 4)
    assert second["value"] == pytest.approx(0.8)
    noted = [note for note in results["notes"] if "drifted" in note]
    assert len(noted) == 1
    assert f"block 2 was 1.25{TIMES} slower [1.25, 1.25] than block 0" in noted[0]
    steady = build_results(info(factorial()), trials({}, {"awq": 2.0}))
    assert not any("drifted" in note for note in steady["notes"])


def test_undecided_names_all_that_is_needed() -> None:
    rng = np.random.default_rng(1)
    made = [
        trial(name, b, float(rng.normal(1, 0.05)), range(1) if name == "awq" else ())
        for b in range(3)
        for name in ("baseline", "awq")
    ]
    entry = found_in(build_results(info(factorial()), made), "verdicts", "weights.awq", domain=None)
    assert entry["verdict"] == "undecided"
    assert entry["more_problems"] > 0
    assert entry["more_blocks"] > 0
    said = f"about {entry['more_problems']:,} more problems and {entry['more_blocks']} more blocks"
    assert needed(entry) == f"{said} would decide"


def test_labels_do_not_change_numbers() -> None:
    made = trials({"awq": range(12)}, {"draft": 1.5})
    one = build_results(info(factorial()), made)
    renamed = tuple(
        replace(a, levels={k: v if v == "off" else f"x-{v}" for k, v in a.levels.items()})
        for a in factorial()
    )
    other = build_results(info(renamed), made)
    keys = ("value", "low", "high", "p_value", "p_holm", "within_noise")
    assert [[e[k] for k in keys] for e in one["effects"]] == [
        [e[k] for k in keys] for e in other["effects"]
    ]


def test_lossless_arms_are_held_against_the_floor() -> None:
    arms = factorial(draft=("draft",), both=("draft",))
    results = build_results(info(arms), trials({"draft": range(20)}, {}))
    entry, both = results["lossless"]
    assert (entry["arm"], entry["against"], entry["status"]) == ("draft", "baseline", "refuted")
    # what awq does to the answers is not the draft's
    assert (both["arm"], both["against"]) == ("both", "awq")
    assert results["a_a"]["flips"]["overall"]["rate"]["value"] == 0
    same = build_results(info(arms), trials({}, {}))
    assert same["lossless"][0]["status"] == "supported"
    sampled = replace(info(arms), sampling={"temperature": 0.6})
    assert build_results(sampled, trials({}, {}))["lossless"][0]["status"] == "undecided"


def test_lossless_on_another_model_is_held_against_that_model() -> None:
    base, again, awq, draft, both = factorial(draft=("draft",), both=("draft",))
    model = {"model.id": "another"}
    arms = (
        base,
        again,
        replace(awq, plugins={}, settings=model),
        draft,
        replace(both, plugins={"draft": {}}, settings=model),
    )
    wrong = {"awq": range(30), "both": range(30)}  # the other model's own
    results = build_results(info(arms), trials(wrong, {}))
    found = {e["arm"]: (e["against"], e["status"]) for e in results["lossless"]}
    assert found == {"draft": ("baseline", "supported"), "both": ("awq", "supported")}


def test_a_lossless_arm_without_its_plain_twin_is_not_judged() -> None:
    base, again, awq, draft, both = factorial(both=("draft",))
    arms = (base, again, replace(awq, plugins={"rtn": {}}), draft, both)
    assert not build_results(info(arms), trials({}, {}))["lossless"]


def test_claims_of_a_run() -> None:
    claims = (
        Claim("non_inferior", "weights.awq", margin=0.1),
        Claim("less_accurate", "weights.awq", domain="logic"),
        Claim("faster", "decode", by=1.2),
        Claim("slower", "decode", metric="e2e_latency", domain="*"),
        Claim("smaller", "weights.awq"),
        Claim("no_interaction", "decode", other="weights", metric="throughput", margin=0.1),
    )
    run = replace(info(factorial()), claims=claims)
    made = trials({"awq": range(30), "both": range(30)}, {"draft": 1.5, "both": 1.5})
    found = [c["status"] for c in build_results(run, made)["claims"]]
    assert found == ["refuted", "supported", "supported", "refuted", "refuted", "supported"]


def spread_out(one: Trial) -> Trial:
    """Arrivals of an open loop."""
    moved = tuple(
        replace(r, completion=replace(r.completion, arrival=-i / 100, dispatched=-i / 100))
        for i, r in enumerate(one.records)
    )
    return replace(one, records=moved)


def test_shared_arrivals_pair_latencies_by_request() -> None:
    made = [spread_out(t) for t in trials({}, {"draft": 2.0})]
    results = build_results(info(factorial()), made)
    assert results["run"]["workload"] == "open"
    assert results["rules"]["speed_metric"] == "mean_e2el_ms"
    contrast = next(c for c in results["contrasts"] if c["arm"] == "draft")
    paired = contrast["paired_latencies"]["overall"]["e2e_latency"]
    assert paired["n"] == 3  # blocks, not requests
    assert 0.5 < paired["value"] < 1
    closed = build_results(info(factorial()), trials({}, {}))
    assert closed["contrasts"][0]["paired_latencies"]["overall"] is None


def test_an_arm_with_a_load_of_its_own_does_not_close_the_loop() -> None:
    made = [t if t.result.arm == "awq" else spread_out(t) for t in trials({}, {})]
    results = build_results(info(factorial()), made)
    assert results["run"]["workload"] == "open"
    assert results["rules"]["speed_metric"] == "mean_e2el_ms"


def test_where_the_highest_rate_is_looked_for_it_is_what_verdicts_compare() -> None:
    rates = {"awq": 8.0, "both": 8.0}

    def searched(one: Trial) -> Trial:
        found = rates.get(one.result.arm, 4.0) * (1 + one.result.block / 100)
        return replace(one, result=replace(one.result, counters={"max_request_rate": found}))

    results = build_results(info(factorial()), [searched(t) for t in trials({}, {"draft": 2.0})])
    assert results["run"]["workload"] == "search"
    for domain in (None, "logic"):
        verdict = found_in(results, "verdicts", "weights.awq", domain=domain)
        assert f"highest rate 2.00{TIMES} faster" in verdict["reason"]
        assert "no change beyond" in found_in(results, "verdicts", "decode.draft")["reason"]
    (speed,) = [sheet for sheet in sheets(results) if sheet.title == "Speed of the service"]
    assert "Highest rate" in speed.columns
    assert dict(speed.rows)["awq"][speed.columns.index("Highest rate")].mood == "better"
    assert "Highest rate" not in sheets(build_results(info(factorial()), trials({}, {})))[1].columns


def test_goodput_counts_what_is_right_and_in_time() -> None:
    run = replace(info(factorial()), slo={"ttft": 0.08})
    results = build_results(run, trials({"awq": range(20)}, {"draft": 1.5}))
    by_arm = {a["arm"]: a["overall"] for a in results["goodput"]["arms"]}
    assert by_arm["baseline"]["share_within_slo"] == 0
    assert by_arm["draft"]["share_correct_within_slo"] == 1
    assert by_arm["draft"]["goodput"] == pytest.approx(80 / (2 / 1.5), rel=0.02)
    assert by_arm["awq"]["tokens_per_correct"] == pytest.approx(4 * 80 / 60)


# --- what a plan can detect


def test_detectable_loss_matches_what_simulation_found() -> None:
    # 1,319 problems, 6 % change: a loss of 2 points is found 83 % of the time.
    loss = detectable_loss(1319)
    assert loss is not None
    assert 0.018 < loss < 0.02


@given(st.integers(20, 5000))
def test_more_problems_detect_less(n: int) -> None:
    small, large = detectable_loss(n), detectable_loss(2 * n)
    assert small is not None
    assert large is not None
    assert 0 < large < small <= 1


def test_too_few_problems_detect_nothing() -> None:
    assert detectable_loss(0) is None
    assert detectable_loss(2) is None
