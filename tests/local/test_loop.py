"""When requests are sent and what is timed."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from ablate.engines.local.session import LocalSession
from ablate.errors import TrialError
from ablate.testing import tiny_model
from ablate.types import Load, Sampling
from tests.local.conftest import Make
from tests.local.serving import Served, open_session, prompts_of_many_lengths, requests, serve

PROMPTS = prompts_of_many_lengths(8)


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> LocalSession:
    return open_session(tiny_model(tmp_path_factory.mktemp("model")))


def serve_at(session: LocalSession, arrivals: list[float], concurrency: int | None) -> Served:
    asked = zip(requests(PROMPTS), arrivals, strict=True)
    load = Load(tuple(replace(r, arrival=a) for r, a in asked), concurrency)
    served = Served()
    session.run(
        load, lambda c: served.completions.__setitem__(c.request_id, c), served.usage.append
    )
    return served


def test_requests_wait_for_their_arrival(session: LocalSession) -> None:
    arrivals = [0.1 * i for i in range(len(PROMPTS))]
    served = serve_at(session, arrivals, None)
    for i, arrival in enumerate(arrivals):
        done = served.completions[str(i)]
        assert done.arrival == arrival
        assert done.dispatched >= arrival
        assert done.token_times[0] > done.dispatched
        assert list(done.token_times) == sorted(done.token_times)
        assert done.finished == done.token_times[-1]
        assert len(done.token_times) == done.output_tokens


def test_latency_counts_from_the_schedule_when_the_client_is_full(session: LocalSession) -> None:
    served = serve_at(session, [0.0] * len(PROMPTS), 1)
    done = [served.completions[str(i)] for i in range(len(PROMPTS))]
    assert all(c.arrival == 0.0 for c in done)
    assert all(later.dispatched >= one.finished for one, later in pairwise(done))


def test_a_closed_loop_keeps_its_concurrency(session: LocalSession) -> None:
    served = serve(session, PROMPTS, 3)
    spans = [(c.dispatched, c.finished) for c in served.completions.values()]
    opened = {0.0, *(c.finished for c in served.completions.values())}
    assert all(c.arrival in opened for c in served.completions.values())
    together = [sum(a <= start < b for a, b in spans) for start, _ in spans]
    assert max(together) == 3
    assert max(u.running + u.waiting for u in served.usage) == 3


def test_users_of_a_closed_loop_think_before_they_ask(session: LocalSession) -> None:
    asked = [replace(r, pause=0.2 * (i % 3)) for i, r in enumerate(requests(PROMPTS))]
    served = Served()
    session.run(
        Load(tuple(asked), 3),
        lambda c: served.completions.__setitem__(c.request_id, c),
        served.usage.append,
    )
    opened = [0.0, *(c.finished for c in served.completions.values())]
    for request in asked:
        done = served.completions[request.id]
        assert done.dispatched >= done.arrival
        assert min(abs(done.arrival - request.pause - time) for time in opened) < 1e-9
    first = [served.completions[str(i)].arrival for i in range(3)]
    assert first == pytest.approx([0.0, 0.2, 0.4])


def test_output_is_cut_at_max_tokens_with_drafts_too(session: LocalSession) -> None:
    served = serve(session, PROMPTS)
    cut = [c for c in served.completions.values() if c.finish_reason == "length"]
    assert cut
    assert all(c.output_tokens == 24 for c in cut)


def test_a_load_that_cannot_be_served_is_refused(tmp_path: Path) -> None:
    path = tiny_model(tmp_path)
    long = open_session(path, sampling=Sampling(max_tokens=2000))
    with pytest.raises(TrialError, match="lower sampling"):
        serve(long, PROMPTS)
    small = open_session(path, kv_cache_gib=1e-6)
    with pytest.raises(TrialError, match="kv_cache_gib") as refused:
        serve(small, PROMPTS)
    assert refused.value.kind == "out_of_memory"


def test_a_second_load_is_independent_of_the_first(session: LocalSession) -> None:
    assert serve(session, PROMPTS).texts() == serve(session, PROMPTS).texts()


def test_the_peak_of_kv_use_is_seen(tmp_path: Path) -> None:
    session = open_session(tiny_model(tmp_path), sampling=Sampling(max_tokens=1))
    served = serve(session, ["a prompt of some length"])
    (completion,) = served.completions.values()
    assert max((u.kv_tokens or 0) for u in served.usage) == completion.prompt_tokens


@pytest.mark.parametrize(
    ("device", "message"),
    [("cuda:99", "sees [0-9]+ GPUs: install a build"), ("gpu", "'gpu' is no device")],
)
def test_a_device_that_is_not_there(checkpoint: Make, device: str, message: str) -> None:
    with pytest.raises(TrialError, match=message):
        open_session(checkpoint("llama"), device=device)
