"""The recipe's bounds on latency: what keeps them, and that searches and reports agree."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ablate.metrics import share_within
from ablate.report.arms import collect
from ablate.report.tradeoffs import goodput
from ablate.types import ArmInfo, Record, RunInfo
from tests.records import record, trial

BOUNDS = {"ttft": 0.2, "tpot": 0.1, "e2e_latency": 1.0}


@pytest.mark.parametrize(
    ("times", "kept"),
    [
        ((0.1, 0.2, 0.3), {"ttft", "tpot", "e2e_latency"}),
        ((0.3, 0.35), {"tpot", "e2e_latency"}),
        ((0.1, 0.3), {"ttft", "e2e_latency"}),
        ((0.1, 0.3, 2.0), {"ttft"}),
        ((0.1,), {"ttft", "tpot", "e2e_latency"}),  # one token has no time per further token
        ((), {"e2e_latency"}),  # what never came kept no bound on its coming
    ],
)
def test_what_keeps_a_bound(times: tuple[float, ...], kept: set[str]) -> None:
    done = [record(*times).completion]
    assert {name for name, most in BOUNDS.items() if share_within(done, {name: most})} == kept
    assert share_within(done, BOUNDS) == (kept == set(BOUNDS))


def test_nothing_keeps_nothing() -> None:
    assert share_within([], BOUNDS) == 0
    assert share_within([record(9.0).completion], {}) == 1


@st.composite
def _requests(draw: st.DrawFn) -> list[Record]:
    """Requests of no tokens, of one and of several."""
    several = st.lists(st.floats(0, 1.5), max_size=4).map(sorted)
    return [
        record(*times, problem=str(i))
        for i, times in enumerate(draw(st.lists(several, max_size=8)))
    ]


@given(_requests(), st.dictionaries(st.sampled_from(sorted(BOUNDS)), st.floats(0.01, 1.5)))
def test_a_search_and_a_report_count_alike(records: list[Record], slo: dict[str, float]) -> None:
    info = RunInfo(
        "t", "", "", "m", "local", ("logic",), (ArmInfo("a", {}, {}),), 1, len(records), slo=slo
    )
    found = goodput(collect(info, [trial(*records)]), "a", info)["arms"][0]["overall"]
    asked = [r.completion for r in records]
    assert found["share_within_slo"] == (pytest.approx(share_within(asked, slo)) if asked else None)
