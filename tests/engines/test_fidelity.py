"""What is measured of a server against what the server says that it sent."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.client import run
from benchmarks.fidelity import our_load, seconds, summary, told, within
from benchmarks.generators import Sending
from benchmarks.paced import paced, truth

TTFT, ITL, SPREAD = 0.02, 0.004, 0.5


def test_latencies_are_those_that_the_server_gave() -> None:
    with paced(TTFT, ITL, SPREAD) as url:
        load = Sending(url, 12, 8, concurrency=1)
        done = run(url, our_load(load), load.tokens)
        sent = truth(url)
        assert truth(url).read.size == 0  # it was told once
    assert sent.ttft.size == 12
    assert sent.ttft.min() >= TTFT * (1 - SPREAD)
    assert np.ptp(sent.ttft) > 0.2 * TTFT  # the requests differ, and are matched one by one
    first, each = (seconds(name, done) for name in ("ttft", "tpot"))
    assert (first >= sent.ttft).all()  # nothing is read before it is sent
    # the best of twelve: where cores are shared, any of them may be kept waiting
    assert np.min(first - sent.ttft) < 0.01
    assert np.min(np.abs(each - sent.tpot)) < 0.001
    assert told(sent, load)["p50_tpot"] == 1e3 * np.median(sent.tpot)


def test_an_error_of_a_millisecond_or_a_percent_is_none() -> None:
    assert within(10.9, 10.0)
    assert not within(11.1, 10.0)
    assert within(502.0, 500.0)
    assert not within(506.0, 500.0)
    assert summary(ttft=np.array([0.001, 0.002, 0.006]))["mean_ttft"] == pytest.approx(3)
