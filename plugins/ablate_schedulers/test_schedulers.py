"""Orders of admission: who goes first, who makes room, that everybody ends, and what is told."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ablate.engines.local.interfaces import KVStore, Scheduler
from ablate.types import EvidenceState, Limits, ModelSpec
from ablate_schedulers import Fcfs, LengthAware, LongestFirst, Priority, ShortestFirst
from ablate_schedulers.ordering import Ordering
from tests.local.simulation import Job, Seen, jobs, limits, simulate

MODEL = ModelSpec("m", "m")
PRIORITY = Priority({"b": 1, "c": 2})
ONE_SLOT = Limits(1, 100, 100, 100)
ORDERINGS = (
    Fcfs(),
    ShortestFirst(),
    ShortestFirst(by="difficulty"),
    LongestFirst(),
    LongestFirst(by="difficulty"),
    PRIORITY,
    Priority({"b": 1, "c": 2}, preempt=False),
    LengthAware(),
    LengthAware(order="shortest", max_overtaken=3),
)


def served(
    plugin: Ordering, asked: Sequence[Job], within: Limits = ONE_SLOT
) -> tuple[Seen, EvidenceState]:
    made: list[Scheduler] = []

    def make(cache: KVStore, limits: Limits) -> Scheduler:
        made.append(plugin.ablate_schedule(cache, limits))
        return made[0]

    seen = simulate(make, asked, within)
    (scheduler,) = made
    state = EvidenceState("local", "measured", {"scheduler": scheduler}, scheduler.counters)
    return seen, state


@pytest.mark.parametrize("plugin", ORDERINGS, ids=str)
@settings(deadline=None, max_examples=25)
@given(asked=jobs, within=limits)
def test_whatever_comes_everybody_ends(plugin: Ordering, asked: list[Job], within: Limits) -> None:
    seen, state = served(plugin, asked, within)
    evidence = plugin.ablate_evidence(state)
    assert (seen.most_overtaken > 0) >= (state.counters["num_overtakes"] > 0)
    if isinstance(plugin, Fcfs):
        assert evidence.applied
        assert seen.most_overtaken == 0
    elif not isinstance(plugin, Priority):  # some of its domains may never come
        assert evidence.applied is (state.counters["num_overtakes"] > 0)


@settings(deadline=None, max_examples=100)
@given(jobs, limits, st.integers(0, 4), st.sampled_from(["longest", "shortest"]))
def test_nobody_is_overtaken_more_often_than_allowed(
    asked: list[Job], within: Limits, most: int, order: str
) -> None:
    plugin = LengthAware(order=order, max_overtaken=most)  # type: ignore[arg-type]
    assert served(plugin, asked, within)[0].most_overtaken <= most


@settings(deadline=None, max_examples=100)
@given(jobs, limits)
def test_equals_never_displace_each_other(asked: list[Job], within: Limits) -> None:
    """With one priority it is first come, first served, preemptions for memory included."""
    alone = [Job(job.prompt, job.output, job.arrival, "b", made=job.made) for job in asked]
    seen, state = served(PRIORITY, alone, within)
    assert state.counters["num_displaced"] == 0
    assert seen == served(Fcfs(), alone, within)[0]


@settings(deadline=None, max_examples=100)
@given(jobs, limits)
def test_the_most_urgent_run_as_if_they_were_alone(asked: list[Job], within: Limits) -> None:
    asked = [replace(job, prompt=job.prompt % 8 + 1, output=job.output % 4 + 1) for job in asked]
    seen, _ = served(PRIORITY, asked, within)  # six of these fit into the memory
    urgent = [(number, job) for number, job in enumerate(asked) if job.domain == "a"]
    alone, _ = served(PRIORITY, [job for _, job in urgent], within)
    for place, (number, _) in enumerate(urgent):
        assert seen.ended[number] == alone.ended[place]


def ends(plugin: Ordering, asked: Sequence[Job], within: Limits = ONE_SLOT) -> list[int]:
    ended = served(plugin, asked, within)[0].ended
    return sorted(ended, key=lambda number: ended[number])


SIZES = [Job(5, 2), Job(9, 2), Job(2, 2), Job(5, 2)]


@pytest.mark.parametrize(
    ("plugin", "order"),
    [
        (Fcfs(), [0, 1, 2, 3]),
        (ShortestFirst(), [2, 0, 3, 1]),
        (LongestFirst(), [1, 0, 3, 2]),
    ],
    ids=str,
)
def test_by_prompt(plugin: Ordering, order: list[int]) -> None:
    assert ends(plugin, SIZES) == order


@pytest.mark.parametrize(
    ("plugin", "order"),
    [(ShortestFirst("difficulty"), [3, 0, 1, 2]), (LongestFirst("difficulty"), [0, 3, 1, 2])],
    ids=str,
)
def test_by_difficulty_those_without_come_last(plugin: Ordering, order: list[int]) -> None:
    stated = (4.0, None, None, 2.0)
    assert ends(plugin, [Job(5, 2, difficulty=d) for d in stated]) == order


def test_a_more_urgent_request_takes_the_slot_of_the_least_urgent() -> None:
    asked = [Job(1, 30, 0, "b"), Job(1, 30, 0, "c"), Job(1, 4, 5, "a")]
    seen, state = served(PRIORITY, asked, Limits(2, 100, 100, 100))
    assert seen.preempted == [1]
    assert sorted(seen.ended, key=lambda n: seen.ended[n]) == [2, 0, 1]
    assert seen.ended[2] == 5 + 4 - 1
    evidence = PRIORITY.ablate_evidence(state)
    assert evidence.applied
    assert evidence.numbers == {"num_overtakes": 1, "num_displaced": 1}
    waits = Priority({"b": 1, "c": 2}, preempt=False)
    assert served(waits, asked, Limits(2, 100, 100, 100))[0].preempted == []


def test_nobody_is_displaced_in_vain() -> None:
    """The least urgent holds 20 of 100 tokens, and 40 would be needed of the 10 that are free."""
    asked = [Job(60, 10, 0, "a"), Job(15, 10, 0, "c"), Job(40, 2, 2, "b")]
    assert served(PRIORITY, asked, Limits(4, 100, 100, 100))[0].preempted == []


def test_a_domain_that_never_came_fails_the_arm() -> None:
    _, state = served(PRIORITY, [Job(1, 30, 0, "b"), Job(1, 4, 5, "a")])
    evidence = PRIORITY.ablate_evidence(state)
    assert evidence.applied is False
    assert evidence.detail == "no request came of c, only of a, b"


def mixed(domains: str, lengths: dict[str, int]) -> list[Job]:
    return [Job(1, lengths[d], domain=d, most=40) for d in domains]


def test_lengths_are_learnt_and_put_in_order() -> None:
    """What is unknown may be long; then the long domain goes first."""
    asked = mixed("abababab", {"a": 3, "b": 20})
    seen, state = served(LengthAware(), asked)
    assert seen.admitted == [0, 1, 3, 5, 7, 2, 4, 6]
    evidence = LengthAware().ablate_evidence(state)
    assert evidence.applied
    assert evidence.numbers == {
        "num_overtakes": 3,
        "num_predicted": 6,
        "mean_abs_log_error": 0,
        "length_rank_correlation": 1,
    }
    assert "off by a factor of 1.00 on average (rank correlation 1.00)" in evidence.detail
    shortest = served(LengthAware(order="shortest"), asked)[0]
    assert shortest.admitted == [0, 2, 4, 6, 1, 3, 5, 7]


def test_difficulty_tells_within_a_domain() -> None:
    hard = [1, 2, 9, 8, 1, 2, 9, 8, 1, 2, 9, 8]
    asked = [Job(1, 4 * d, difficulty=float(d), most=40) for d in hard]
    seen, state = served(LengthAware(), asked)
    told = [hard[number] for number in seen.admitted[2:]]  # two make a line
    assert told == sorted(told, reverse=True)
    assert LengthAware().ablate_evidence(state).numbers["length_rank_correlation"] > 0.9


def test_an_order_that_changed_nothing_fails_the_arm_and_says_so() -> None:
    for plugin in ORDERINGS[1:]:
        _, state = served(plugin, [Job(3, 2), Job(3, 2, 20)])
        evidence = plugin.ablate_evidence(state)
        assert evidence.applied is False
        if not isinstance(plugin, Priority):
            assert "nothing differs from first come, first served" in evidence.detail
        warming = EvidenceState("local", "warmup", state.components, state.counters)
        assert plugin.ablate_evidence(warming).applied is None


def test_another_order_in_force_is_seen() -> None:
    _, state = served(ShortestFirst(), SIZES)
    assert LongestFirst().ablate_evidence(state).detail == "the order in force is shortest_first"
    assert LongestFirst().ablate_evidence(state).applied is False


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda: ShortestFirst(by="predicted"), "length_aware goes by the predicted length"),
        (lambda: LengthAware(order="random"), "order must be one of longest, shortest"),  # type: ignore[arg-type]
        (lambda: LengthAware(max_overtaken=-1), "max_overtaken must be at least 0, not -1"),
        (lambda: Priority({}), "a priority other than 0"),
        (lambda: Priority({"a": 0}), "a priority other than 0"),
    ],
)
def test_bad_options(make: Callable[[], object], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        make()


def test_fcfs_is_what_serving_engines_call_it() -> None:
    assert Fcfs().ablate_engine_args("vllm", MODEL) == {"scheduling_policy": "fcfs"}
    assert Fcfs().ablate_engine_args("sglang", MODEL) == {"schedule_policy": "fcfs"}
    assert Fcfs().ablate_engine_args("llama_cpp", MODEL) is None
